#include <waggle/detail/service_slots.hpp>

#include "support/catch.hpp"

using waggle::detail::slots_for;

namespace {

constexpr unsigned threads = 8;

}  // namespace

TEST_CASE("service: a pool alone has four slots for each thread, quick handlers alone a thousand, and each says no more than that", "[service]") {
  const auto pool = slots_for(false, true, threads, 0, 0);
  CHECK((pool.all == 32 && pool.quick == 0));
  const auto quick = slots_for(true, false, threads, 0, 0);
  CHECK((quick.all == 1024 && quick.quick == 0));
}

TEST_CASE("service: with both each class has slots of its own, and a broker that does not know of it takes those of the pool", "[service]") {
  const auto both = slots_for(true, true, threads, 0, 0);
  CHECK((both.all == 32 && both.quick == 1024));
}

TEST_CASE("service: what its options say holds, within the protocol's limit", "[service]") {
  const auto both = slots_for(true, true, threads, 5, 7);
  CHECK((both.all == 5 && both.quick == 7));
  CHECK(slots_for(false, true, threads, 5, 7).all == 5);
  CHECK(slots_for(true, false, threads, 5, 0).all == 5);  // there is nothing else that it could mean
  CHECK(slots_for(true, false, threads, 5, 7).all == 7);
  const auto most = slots_for(true, true, 100'000, 0, 100'000);
  CHECK((most.all == waggle::wire::slots_max && most.quick == waggle::wire::slots_max));
}
