package main

import (
	"context"
)

func commands(ctx context.Context, f *fleet) error { return nil }
func moves(ctx context.Context, f *fleet) error    { return nil }
