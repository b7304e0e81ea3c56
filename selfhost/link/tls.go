package link

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"os"
	"time"
)

// MinSecret is the least length of a cluster secret, in bytes.
const MinSecret = 32

// SecretTLS makes TLS out of a secret that all nodes share: the key of every node's certificate is
// derived from it, and each side checks that the other's is the same. So who knows the secret
// can be a node, and nobody else can read along.
func SecretTLS(secret []byte) (*tls.Config, error) {
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("link: a cluster secret of %d bytes, at least %d", len(secret), MinSecret)
	}
	seed, err := hkdf.Key(sha256.New, secret, nil, "oriel link 1", ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	key := ed25519.NewKeyFromSeed(seed)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "oriel node"},
		// Time proves nothing here, and nodes' clocks may differ.
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	own := key.Public().(ed25519.PublicKey)
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}},
		ClientAuth:   tls.RequireAnyClientCert,
		// There is no authority and no name to check: VerifyConnection compares the key itself.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return ErrSecret
			}
			if peer, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey); !ok || !own.Equal(peer) {
				return ErrSecret
			}
			return nil
		},
	}, nil
}

// FileTLS makes TLS out of PEM files: this node's certificate and key, and the authorities whose
// certificates other nodes have. A certificate must be good for the host in its node's address, and for
// both client and server authentication.
func FileTLS(certFile, keyFile, caFile string) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("link: no certificate in " + caFile)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
		RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}, nil
}
