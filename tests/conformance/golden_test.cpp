#include "conformance/case.hpp"
#include "support/catch.hpp"

using namespace daguerre;

namespace {

void check_area(const std::string& area, const conformance::Options& options) {
  const auto results = conformance::run_below(test::golden(area), options);
  REQUIRE_FALSE(results.empty());
  for (const auto& result : results) {
    INFO(result.name << " on " << options.engine << " in " << short_name(options.precision));
    if (options.precision != Precision::float32 && area == "pipelines") continue;
    CHECK(result.unsupported.value_or("") == "");
    for (const auto& check : result.checks) {
      INFO(check.name << ": max abs " << check.difference.max_abs << ", relative L2 "
                      << check.difference.rel_l2 << ", bound " << check.bound);
      CHECK(check.passes());
    }
  }
}

}  // namespace

TEST_CASE("every recorded case of a supported class agrees with the reference", "[golden]") {
  for (const auto& engine : ops::engine_names())
    for (const auto* area : {"blocks", "unet", "dit", "vae", "text", "pipelines", "single_file", "lora",
                             "adapters", "prompts", "video", "lm"})
      SECTION(engine + ", float32, " + area) {
        check_area(area, {.engine = engine});
      }
}

TEST_CASE("recorded networks agree in bfloat16", "[golden]") {
  for (const auto& engine : ops::engine_names())
    for (const auto* area : {"blocks", "unet", "dit", "vae", "text", "single_file", "video", "lm"})
      SECTION(engine + ", bfloat16, " + area) {
        check_area(area, {.engine = engine, .precision = Precision::bfloat16});
      }
}

TEST_CASE("recorded networks agree in 8 bits", "[golden][int8]") {
  if (ops::engine_names().front() != "onednn") return;
  for (const auto* area : {"blocks", "unet", "dit"}) SECTION(std::string("int8, ") + area) {
      check_area(area, {.engine = "onednn", .precision = Precision::int8});
    }
}

TEST_CASE("recorded GGUF files and blocks agree with the reference", "[golden]") {
  for (const auto& engine : ops::engine_names())
    for (const auto precision : {Precision::float32, Precision::bfloat16})
      for (const auto& result :
           conformance::run_below(test::golden("gguf"), {.engine = engine, .precision = precision})) {
        INFO(result.name << " on " << engine << " in " << short_name(precision));
        CHECK(result.unsupported.value_or("") == "");
        // A network's outputs, beside what is checked of names.
        if (result.name.ends_with("_comfyui") || result.name.ends_with("t5_encoder"))
          CHECK(result.checks.size() >= 3);
        for (const auto& check : result.checks) {
          INFO(check.name << ": max abs " << check.difference.max_abs << ", relative L2 "
                          << check.difference.rel_l2);
          CHECK(check.passes());
        }
      }
}

TEST_CASE("recorded random numbers, samplers, metrics and pictures agree with the reference", "[golden]") {
  for (const auto* area : {"random", "schedulers", "metrics", "images", "vision"}) SECTION(area) {
      check_area(area, {.engine = "native"});
    }
}
