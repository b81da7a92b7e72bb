"""What a relayed token costs: ours beside nginx, Caddy and the original design, in one run, as ratios."""
