// Runs networks with durable events in virtual time; each seed is another one.
#include "sim/events/world.hpp"
#include "sim/seeds.hpp"

int main(int argc, char** argv) {
  using namespace waggle::sim;
  return run_seeds<event_world>(argc, argv, "waggle_sim_events", "tools/sim --events", [](const event_world& here) {
    const auto& sums = here.books().totals();
    return counted({{"emitted", sums.emitted}, {"kept", sums.kept}, {"repeated", sums.repeated}, {"refused", sums.refused},
                    {"handed over", sums.handed}, {"again", sums.again}, {"acknowledged", sums.acked}, {"too late", sums.late},
                    {"dead", sums.dead}, {"revived", sums.revived}, {"trimmed", sums.trimmed}, {"damaged", sums.damaged},
                    {"commands", sums.commands}, {"ended", sums.ended}, {"broadcast", sums.broadcasts}, {"received", sums.delivered},
                    {"crashes", sums.crashes}, {"forgotten", sums.forgotten}});
  });
}
