#include "daguerre/ops/engine_registry.hpp"

#include "daguerre/core/version.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/native_engine.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::ops;
using namespace daguerre::test;

TEST_CASE("the standard registry knows the engines compiled in", "[ops][engine]") {
  const auto registry = EngineRegistry::standard();
  CHECK(registry.names() == engine_names());
  CHECK(registry.names().back() == "native");
  CHECK(registry.make()->name() == registry.names().front());
  CHECK(registry.make("auto")->name() == registry.names().front());
  for (const auto& name : registry.names()) CHECK(registry.make(name)->name() == name);
  expect_error<ArgumentError>([&] { registry.make("cuda"); }, {"[engine]", "\"cuda\"", "native"});
  expect_error<ArgumentError>([&] { registry.make(""); }, {"[engine]", "native"});
}

TEST_CASE("an engine is found by the name it had before", "[ops][engine]") {
  const auto registry = EngineRegistry::standard();
  CHECK(registry.make("eigen")->name() == "native");
  CHECK(registry.resolve("eigen") == "native");
  CHECK(registry.resolve("native") == "native");
  CHECK(registry.resolve("cuda").empty());
  CHECK(make_engine("eigen")->name() == "native");
  CHECK(engine_version("eigen") == version());
}

TEST_CASE("a host adds engines to a registry of its own", "[ops][engine]") {
  auto registry = EngineRegistry::standard();
  const auto known = registry.names();
  registry.add("host's", [] { return std::make_shared<HostEngine>(); });
  CHECK(registry.names().size() == known.size() + 1);
  CHECK(registry.names().back() == "host's");
  CHECK(registry.make()->name() == known.front());  // not what is taken without being asked for
  CHECK(EngineRegistry::standard().names() == known);

  const auto engine = registry.make("host's");
  CHECK(engine->version().empty());
  auto context = context_for("native");
  const auto weight = random_tensor({3, 4}, 1), x = random_tensor({2, 4}, 2);
  const auto expected = (*context.engine->as<float>().pack_linear(context, weight, {}))(context, x);
  const auto y = (*engine->as<float>().pack_linear(context, weight, {}))(context, x);
  CHECK(std::equal(y.data(), y.data() + y.size(), expected.data()));

  registry.add_older_name("f32", "host's");
  CHECK(registry.make("f32")->name() == "host's");
  registry.add("host's", [] { return std::shared_ptr<const Engine>(); });
  expect_error<ArgumentError>([&] { registry.make("f32"); }, {"host's", "does not run"});
}

TEST_CASE("the first engine that the machine runs is taken", "[ops][engine]") {
  EngineRegistry registry;
  expect_error<ArgumentError>([&] { registry.make(); }, {"[engine]", "there are: "});
  registry.add("absent", [] { return std::shared_ptr<const Engine>(); });
  registry.add("present", [] { return make_engine("native"); });
  CHECK(registry.make()->name() == "native");
  registry.add("present", [] { return std::shared_ptr<const Engine>(); });
  expect_error<ArgumentError>([&] { registry.make(); }, {"absent, present"});
}

TEST_CASE("names that would mean two things are refused", "[ops][engine]") {
  auto registry = EngineRegistry::standard();
  const auto maker = [] { return make_engine("native"); };
  expect_error<ArgumentError>([&] { registry.add("auto", maker); }, {"[engine]", "\"auto\""});
  expect_error<ArgumentError>([&] { registry.add("", maker); }, {"[engine]", "\"\""});
  expect_error<ArgumentError>([&] { registry.add("mine", nullptr); }, {"[engine]", "\"mine\""});
  expect_error<ArgumentError>([&] { registry.add_older_name("native", "native"); },
                              {"[engine]", "older name"});
  expect_error<ArgumentError>([&] { registry.add_older_name("old", "none"); }, {"\"old\"", "\"none\""});
}
