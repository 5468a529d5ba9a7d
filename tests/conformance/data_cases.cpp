#include <fstream>
#include <limits>

#include <nlohmann/json.hpp>

#include "conformance/case.hpp"
#include "daguerre/core/random.hpp"
#include "daguerre/samplers/registry.hpp"
#include "support/sampler_case.hpp"
#include "support/tokenizer_case.hpp"

/// Cases without networks: random numbers, samplers, tokenizers.
namespace daguerre::conformance {

std::optional<Result> run_random(const std::filesystem::path& folder, const Config& config) {
  if (config.class_name() != "torch.Generator") return std::nullopt;
  std::ifstream file(folder / "config.json");
  const auto json = nlohmann::json::parse(file);
  const bool is_cpu = json.at("device") == "cpu";
  const auto seed = json.at("seed").get<std::uint64_t>();
  const auto fresh = [&] { return make_generator(is_cpu ? "torch-cpu" : "cuda-philox", seed); };
  Result result;
  for (const auto& run : recorded_runs(folder)) {
    const auto compare = [&](const std::string& name, const auto& draw) {
      const auto expected = run.file().read<float>("out." + name);
      result.checks.push_back(
          {name + run.label(), test::difference(draw(expected.shape()), expected), bounds::random});
    };
    const auto stream = fresh();
    for (int i = 0; run.has("out.randn." + std::to_string(i)); ++i)
      compare("randn." + std::to_string(i), [&](const Shape& shape) { return stream->randn(shape); });
    if (run.has("out.randn_4d"))
      compare("randn_4d", [&](const Shape& shape) { return fresh()->randn(shape); });
    if (run.has("out.uniform") && is_cpu)
      compare("uniform", [&](const Shape& shape) { return TorchCpuGenerator(seed).uniform(shape); });
  }
  return result;
}

std::optional<Result> run_sampler(const std::filesystem::path& folder, const Config& config) {
  const auto registry = samplers::SamplerRegistry::standard();
  if (!registry.knows_class(config.class_name())) return std::nullopt;
  const auto report = test::check_sampler_case(folder, registry);
  Result result;
  if (!report.unsupported.empty()) result.unsupported = report.unsupported;
  for (const auto& finding : report.findings)
    result.checks.push_back({finding.name, finding.found, finding.bound});
  return result;
}

Result run_tokenizer(const std::filesystem::path& folder) {
  Result result;
  if (!test::is_tokenizer_case(folder)) {
    result.unsupported = "a tokenizer without vocab.json and spiece.model";
    return result;
  }
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (const auto& field : test::run_tokenizer_case(folder)) {
    const auto failed = static_cast<double>(field.failed);
    result.checks.push_back({field.name, {failed, failed == 0.0 ? 0.0 : infinity}, 0.0});
  }
  return result;
}

}  // namespace daguerre::conformance
