#include "daguerre/pipeline/class_names.hpp"

#include "daguerre/core/error.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace daguerre;

TEST_CASE("classes are found by label and by each of its names", "[pipeline][class_names]") {
  const auto names = ClassNames::parse(
      R"({"0": "tench, Tinca tinca", "134": "crane", "207": "golden retriever", "517": "crane, big one"})",
      "model_index.json");
  CHECK(names.labels().size() == 4);
  CHECK(names.find("tench") == 0);
  CHECK(names.find("Tinca Tinca") == 0);
  CHECK(names.find("tench, tinca tinca") == 0);
  CHECK(names.find(" GOLDEN retriever ") == 207);
  CHECK(names.label(134) == "crane");
  CHECK(names.label(1).empty());
  test::expect_error<ArgumentError>([&] { names.find("crane"); }, {"\"crane\"", "134, 517"});
  test::expect_error<ArgumentError>([&] { names.find("retriever"); },
                                    {"no class is called \"retriever\"", "207 golden retriever"});
  test::expect_error<ArgumentError>([&] { names.find(""); }, {"no class is called \"\"", "among 4"});
  test::expect_error<ArgumentError>([&] { ClassNames().find("cat"); }, {"names no classes"});
}

TEST_CASE("a malformed id2label is refused", "[pipeline][class_names]") {
  const auto refuses = [](const char* json, std::string_view part) {
    INFO(json);
    test::expect_error<ConfigError>([&] { ClassNames::parse(json, "model_index.json"); },
                                    {"model_index.json", part});
  };
  refuses(R"(["cat"])", "an object");
  refuses(R"({"cat": "0"})", "\"cat\"");
  refuses(R"({"-1": "cat"})", "\"-1\"");
  refuses(R"({"99999999999": "cat"})", "99999999999");
  refuses(R"({"7": 7})", "class 7");
}
