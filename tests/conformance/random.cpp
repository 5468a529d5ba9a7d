#include "daguerre/tensor/random.hpp"

#include "conformance/case.hpp"

namespace daguerre::conformance {

std::optional<Result> run_random(const std::filesystem::path& folder, const weights::Config& config) {
  if (config.class_name() != "torch.Generator") return std::nullopt;
  const bool is_cpu = std::string(config.get("device", "cpu")) == "cpu";
  const auto seed = static_cast<std::uint64_t>(std::stoull(config.json("seed").value()));
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

}  // namespace daguerre::conformance
