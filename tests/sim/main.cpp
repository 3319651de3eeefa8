// Runs networks of broker, callers and workers in virtual time; each seed is another one.
#include "sim/seeds.hpp"
#include "sim/world.hpp"

int main(int argc, char** argv) {
  using namespace waggle::sim;
  return run_seeds<world>(argc, argv, "waggle_sim", "tools/sim", [](const world& here) {
    const auto sums = here.broker().totals();
    return counted({{"in the broker", here.broker().steps()}, {"calls", here.book().opened()}, {"run", here.book().started()},
                    {"leases", sums.leases}, {"again", sums.again}, {"refused", sums.refused}, {"taken back", sums.taken_back},
                    {"dead", sums.dead}, {"rested", sums.rested}, {"woken", sums.woken}, {"died resting", sums.died_resting},
                    {"keyed", sums.keyed}, {"quick", sums.quick}, {"garbage", sums.broken}, {"probes", here.probes()}});
  });
}
