package server

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metricsHandler serves every counter in Prometheus's text format.
func (s *Server) metricsHandler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&collector{server: s},
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// collector reads the parts' own counters when Prometheus asks: the hot paths know nothing of
// Prometheus.
type collector struct{ server *Server }

// Describe implements [prometheus.Collector]. It tells nothing beforehand, because codes and
// causes appear as labels only once they have happened.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	m := sink{ch}
	c.gateway(m)
	c.scheduler(m)
	c.runtime(m)
	c.store(m)
	if c.server.node != nil {
		c.cluster(m)
	}
	m.gauge("oriel_build_info", "Always 1; the version is the label.", 1, "version", c.server.o.Version)
}

func (c *collector) gateway(m sink) {
	g := c.server.gateway.Stats()
	m.gauge("oriel_connections", "Open connections.", float64(g.Connections))
	m.gauge("oriel_sockets", "Open sockets, those included that are being refused or closed.", float64(g.Sockets))
	m.count("oriel_connects_total", "Connections let in by the gateway.", g.Connected)
	m.count("oriel_messages_received_total", "Messages read for rooms.", g.MessagesIn)
	m.count("oriel_received_bytes_total", "Bytes read for rooms.", g.BytesIn)
	m.count("oriel_messages_sent_total", "Frames written or queued.", g.MessagesOut)
	m.count("oriel_sent_bytes_total", "Bytes written or queued.", g.BytesOut)
	m.count("oriel_auto_responses_total", "Messages answered without waking a room.", g.AutoResponses)
	m.count("oriel_pings_total", "Pings sent to silent clients.", g.Pings)
	m.count("oriel_mailbox_waits_total", "Times a client was kept waiting for its room.", g.MailboxWaits)
	m.count("oriel_slow_closes_total", "Connections ended because their queue was full.", g.SlowCloses)
	m.count("oriel_heartbeat_timeouts_total", "Connections ended because nothing was heard.", g.HeartbeatTimeouts)
	m.count("oriel_messages_dropped_total", "Messages that did not fit into a queue.", g.Dropped)
	m.count("oriel_messages_conflated_total", "Messages replaced by newer ones while they waited.", g.Conflated)
	m.count("oriel_requests_total", "HTTP requests that reached a room.", g.Requests)
	for code, n := range g.Refused {
		m.count("oriel_refused_total", "Upgrades and requests not let in.", n, "code", code.String())
	}
	for code, n := range g.Closed {
		m.count("oriel_closed_total", "Connections that this side ended or that broke.", n, "code", code.String())
	}
}

func (c *collector) scheduler(m sink) {
	s := c.server.scheduler.Stats()
	m.gauge("oriel_rooms", "Rooms on this node.", float64(s.Rooms))
	m.gauge("oriel_rooms_awake", "Rooms in memory.", float64(s.Awake))
	m.count("oriel_turns_total", "Turns that ran.", s.Turns)
	m.counter("oriel_turn_seconds_total", "Time that turns took, waiting for a core included.", s.TurnSeconds)
	m.count("oriel_void_turns_total", "Turns that did not become durable.", s.VoidTurns)
	m.count("oriel_sends_total", "Messages to single connections.", s.Sent)
	m.count("oriel_broadcasts_total", "Broadcasts.", s.Broadcasts)
	m.count("oriel_deliveries_total", "Messages that broadcasts came to.", s.Delivered)
	m.count("oriel_sleeps_total", "Times a room was put to sleep.", s.Sleeps)
	m.count("oriel_start_failures_total", "Rooms that did not start.", s.StartFailures)
	m.count("oriel_throttled_total", "Turns put off because the room had used its share of a core.", s.Throttled)
	m.count("oriel_mailbox_full_total", "Events refused because a mailbox was full.", s.MailboxFull)
	m.count("oriel_notified_devices_total", "Devices that notifications of rooms reached.", s.Notified)
	m.count("oriel_notifications_lost_total", "Notifications of rooms that were not delivered.", s.NotifiesLost)
	m.count("oriel_alarms_parked_total", "Alarms that failed too often.", s.AlarmsParked)
	for cause, n := range s.Traps {
		m.count("oriel_traps_total", "Events that made a room trap.", n, "cause", string(cause))
	}
}

func (c *collector) runtime(m sink) {
	r := c.server.runtime.Stats()
	m.gauge("oriel_instances", "WebAssembly instances.", float64(r.Instances))
	m.gauge("oriel_instances_parked", "Instances that wait for storage.", float64(r.Parked))
	m.count("oriel_fuel_total", "Fuel burnt.", uint64(r.Fuel))
}

func (c *collector) store(m sink) {
	s := c.server.store.Stats()
	m.count("oriel_commits_total", "Commits that are in the store.", s.Commits)
	m.count("oriel_commits_failed_total", "Commits that failed.", s.Failed)
	m.count("oriel_commit_groups_total", "Batches written with one fsync each.", s.Groups)
	m.count("oriel_commit_bytes_total", "Bytes of commits.", s.Bytes)
	m.gauge("oriel_commits_pending", "Commits that wait for their answer.", float64(s.PendingCommits))
	m.count("oriel_store_cache_hits_total", "Reads answered from memory.", s.CacheHits)
	m.count("oriel_store_cache_misses_total", "Reads that went to the engine.", s.CacheMisses)
	m.count("oriel_store_stalls_total", "Times the engine held writes back.", s.Stalls)
}

func (c *collector) cluster(m sink) {
	l := c.server.node.Links()
	m.gauge("oriel_cluster_nodes", "Other nodes that live.", float64(l.Nodes))
	m.gauge("oriel_cluster_links", "Links to them that are up.", float64(l.Links))
	m.count("oriel_cluster_links_broken_total", "Links that broke.", l.Broken)
	m.count("oriel_cluster_links_refused_total", "Links that were refused.", l.Refused)
	m.count("oriel_cluster_sent_bytes_total", "Bytes of frames sent to other nodes.", l.SentBytes)
	m.count("oriel_cluster_received_bytes_total", "Bytes of frames that came from them.", l.ReceivedBytes)
	s := c.server.scheduler.Stats()
	m.gauge("oriel_rooms_owned", "Rooms that run here.", float64(s.Owned))
	m.count("oriel_rooms_taken_total", "Rooms that this node became the owner of.", s.Taken)
	m.count("oriel_rooms_taken_over_total", "Of those, the ones whose owner had died.", s.TakenOver)
	m.count("oriel_rooms_moved_total", "Rooms handed over to another node.", s.Moved)
	m.count("oriel_rooms_lost_total", "Rooms lost to another node.", s.Lost)
	m.count("oriel_events_forwarded_total", "Events handed to the owners of their rooms.", s.Forwarded)
}

// sink makes constant metrics.
type sink struct{ ch chan<- prometheus.Metric }

func (m sink) gauge(name, help string, v float64, label ...string) {
	m.metric(prometheus.GaugeValue, name, help, v, label)
}

func (m sink) count(name, help string, v uint64, label ...string) {
	m.metric(prometheus.CounterValue, name, help, float64(v), label)
}

func (m sink) counter(name, help string, v float64) {
	m.metric(prometheus.CounterValue, name, help, v, nil)
}

// metric takes at most one label, as a name and a value.
func (m sink) metric(t prometheus.ValueType, name, help string, v float64, label []string) {
	var names, values []string
	if len(label) == 2 {
		names, values = label[:1], label[1:]
	}
	m.ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), t, v, values...)
}
