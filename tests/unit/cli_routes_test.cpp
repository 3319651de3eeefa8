// What `waggle routes ls` and `explain` print.
#include "support/catch.hpp"
#include "support/routes_fixture.hpp"
#include "tools/waggle/routes_view.hpp"

using namespace waggle::gateway;
using namespace waggle::gateway::test;
using waggle::cli::screen;

namespace {

constexpr const char* orders = R"(routes:
  - route: POST /orders/{shop}
    budget: 5s
    when: { header.X-V: ["1", "2"], query.beta: ~ }
    steps:
      stock: { call: stock.reserve, fields: { shop: path.shop, item: body.item }, undo: { call: stock.release, fields: {} } }
      price: { call: { split: { price.get: 9, price.next: 0 }, sticky: cookie.user }, fields: {}, optional: true, budget: 200ms }
      order: { call: order.place, after: price, fields: { id: step.stock.id } }
    reply: { id: step.order.id }
    then: { placed: { emit: order.placed, fields: step.order } }
  - { route: "GET /orders/{id}", call: order.get, mirror: { call: order.get2, percent: 5 } }
)";

}  // namespace

TEST_CASE("cli: a request's way is told step by step, with what would be sent", "[cli][routes]") {
  const auto config = configured(orders);
  const router all{config};
  const sent in{"POST", "/orders/ulm?beta", R"({"item":7})", {{"x-v", "2"}, {"cookie", "user=ada"}}};
  const auto what = all.explain(in.request());
  CHECK(waggle::cli::explanation_text(what, config, screen{}) ==
        "route    POST /orders/{shop}\n"
        "from     routes.yaml:2\n"
        "when     header.X-V is 1 or 2, query.beta is there\n"
        "budget   5s\n"
        "stock    calls stock.reserve (which no service has now)\n"
        "         shop = path.shop\n"
        "         item = body.item\n"
        "         sends {\"shop\":\"ulm\",\"item\":7}\n"
        "         undone by stock.release\n"
        "price    calls price.get (which no service has now), optional, within 200ms\n"
        "         chosen by weight, the same for one cookie.user (price.get: 9, price.next: 0)\n"
        "         sends {}\n"
        "order    calls order.place (which no service has now), after stock, price\n"
        "         id = step.stock.id\n"
        "placed   emits order.placed, after the answer, after order\n"
        "         step.order\n");
  const auto shown = json::parse(waggle::cli::explanation_json(what, config));
  CHECK(shown.at("route") == "POST /orders/{shop}");
  CHECK(shown.at("steps").at(0).at("payload") == json::parse(R"({"shop":"ulm","item":7})"));
  CHECK(shown.at("steps").at(2).at("after") == json::parse(R"(["stock","price"])"));
  CHECK_FALSE(shown.contains("answer"));
}

TEST_CASE("cli: the limits that a request counts in are told, those of all routes first", "[cli][routes]") {
  const auto config = configured(R"(routes:
  - { route: GET /a, call: a.b, rate: { limit: 5, per: 1s, by: [address, route], burst: 20 }, concurrency: 50 }
rates: { limit: 100, per: 90s, by: address }
)");
  const router all{config};
  const sent in{"GET", "/a", "", {}};
  const auto text = waggle::cli::explanation_text(all.explain(in.request()), config, screen{});
  CHECK(text.find("rate     100 in 90s by address (address-90s)\n"
                  "rate     5 in 1s by address, route, at most 20 at once (route-address+route-1s)\n"
                  "places   50 requests at once\n") != std::string::npos);
  const auto shown = json::parse(waggle::cli::explanation_json(all.explain(in.request()), config));
  CHECK(shown.at("rates").size() == 2);
  CHECK(shown.at("concurrency") == 50);
}

TEST_CASE("cli: what is refused is told with its status and each problem", "[cli][routes]") {
  const auto config = configured(orders);
  const router all{config};
  const sent nowhere{"GET", "/nowhere", "", {}};
  const auto text = waggle::cli::explanation_text(all.explain(nowhere.request()), config, screen{});
  CHECK(text.find("answer   404 without any call: ") == 0);
  const sent unreadable{"POST", "/orders/ulm?beta", "{", {{"x-v", "2"}}};
  const auto refused = waggle::cli::explanation_text(all.explain(unreadable.request()), config, screen{});
  CHECK(refused.find("route    POST /orders/{shop}\n") == 0);
  CHECK(refused.find("\nanswer   400 without any call: ") != std::string::npos);
  CHECK(json::parse(waggle::cli::explanation_json(all.explain(nowhere.request()), config)).at("answer").at("status") == 404);
}

TEST_CASE("cli: routes of files and of services are listed, each with where it comes from", "[cli][routes]") {
  router all{configured(orders)};
  all.update(one_command(R"(["GET /shop/{id}","GET /orders/{id}"])"));
  const auto listed = waggle::cli::listed_routes(all);
  REQUIRE(listed.size() == 3);
  CHECK(waggle::cli::routes_text(listed, screen{}).find("GET /shop/{id}") != std::string::npos);
  const auto shown = json::parse(waggle::cli::routes_json(listed)).at("routes");
  CHECK(shown.at(0).at("from") == "routes.yaml:2");
  CHECK(shown.at(0).at("when") == "header.X-V is 1 or 2, query.beta is there");
  CHECK(shown.at(1).at("route") == "GET /orders/{id}");
  CHECK(shown.at(1).at("from") == "routes.yaml:11");
  CHECK(shown.at(2).at("from") == "service shop");
  CHECK(shown.at(2).at("calls") == "shop.do");
}

TEST_CASE("cli: whom a route is for is told, where it is not for anyone", "[cli][routes]") {
  const config_file file{"r.yaml", R"(tokens: { algorithm: HS256, key: env.KEY }
access: known
routes:
  - { route: GET /a, call: a.b }
  - { route: GET /b, call: a.b, access: [x, y] }
  - { route: GET /c, call: a.b, access: anyone }
)"};
  const auto config = parse_config({&file, 1}, [](const std::string&) { return std::string(32, 'k'); }).value();
  const router all{config};
  const auto shown = [&](const char* path) {
    const sent in{"GET", path, {}, {}};
    return all.explain(in.request());
  };
  const auto text = [&](const char* path) { return waggle::cli::explanation_text(shown(path), config, screen{}); };
  CHECK(text("/a").find("access   who is known\n") != std::string::npos);
  CHECK(text("/b").find("access   who has x, y\n") != std::string::npos);
  CHECK(text("/c").find("access") == std::string::npos);
  CHECK(json::parse(waggle::cli::explanation_json(shown("/b"), config)).at("access") == json::parse(R"(["x","y"])"));
  CHECK(json::parse(waggle::cli::explanation_json(shown("/c"), config)).at("access") == "anyone");
}
