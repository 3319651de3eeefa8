-- What wrk has counted, on one line for tools/bench/compare. Nothing else is here: a script that touched requests would slow wrk down.
function done(summary, latency, requests)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout
  io.write(string.format("counted calls=%d failed=%d seconds=%.6f p50=%.1f p99=%.1f max=%.1f\n", summary.requests, failed,
    summary.duration / 1e6, latency:percentile(50), latency:percentile(99), latency.max))
end
