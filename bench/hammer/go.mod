// A load generator for admission webhooks: the standard library alone.
module aksp.dev/bench/hammer

go 1.26.0
