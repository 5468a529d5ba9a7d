#include <algorithm>

#include "conformance/case.hpp"
#include "conformance/recipe_weights.hpp"
#include "daguerre/models/feature_extractors/lpips.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/resample.hpp"

/// LPIPS with weights by recipe. The cases name no class.
namespace daguerre::conformance {
namespace {

/// `[1, H, W, 3]` of the recorded bytes, times `scale`, plus `shift`, rounded once.
Tensor<float> lpips_picture(const Recorded& run, const std::string& name, double scale, double shift) {
  const auto bytes = run.file().read<double>("in." + name);
  Tensor<float> result({1, bytes.dim(0), bytes.dim(1), bytes.dim(2)});
  std::ranges::transform(bytes.span(), result.data(),
                         [&](double value) { return static_cast<float>(value / scale + shift); });
  return result;
}

template <class T>
Result run_lpips(const std::filesystem::path& folder, const ops::Context& context) {
  const auto weights = models::with_lpips_names(recipe_weights(folder));
  const models::Lpips<T> network(models::lpips_trunk_of(weights), {weights::Scope(weights), context});
  Result result;
  for (const auto& run : recorded_runs(folder)) {
    const auto compare = [&](const std::string& name, const Tensor<float>& actual,
                             double bound = bounds::lpips) {
      if (!run.has(name)) return;
      if (!std::is_same_v<T, float>) bound = bounds::bfloat16_network;
      const auto expected = run.file().read<float>(name);
      result.checks.push_back(
          {name + run.label(), test::difference(actual.reshape(expected.shape()), expected), bound});
    };
    const auto picture = [&](const std::string& name) { return lpips_picture(run, name, 127.5, -1.0); };
    const auto features = network.features(context, picture("a"));
    for (std::size_t i = 0; i < features.size(); ++i)
      compare("mid.feature" + std::to_string(i) + "_mean", ops::global_average_pool(context, features[i]),
              bounds::lpips_features);
    for (const std::string pair : {"ab", "ac", "bc"}) {
      if (!run.has("out." + pair)) continue;
      const auto found = network(context, picture(pair.substr(0, 1)), picture(pair.substr(1)));
      compare("out." + pair, found.distance);
      compare("out." + pair + "_layers", found.layers);
    }
    const auto a = picture("a"), b = picture("b");
    compare("out.ab_baseline", network(context, a, b, {.linear = false}).distance);
    compare("out.ab_spatial", network(context, a, b, {.spatial = true}).map);
    const auto unit = [&](const char* name) {
      return ops::affine(context, lpips_picture(run, name, 255.0, 0.0), 2.0f, -1.0f);
    };
    compare("out.ab_normalize", network(context, unit("a"), unit("b")).distance);
  }
  return result;
}

}  // namespace

std::optional<Result> run_lpips_model(const std::filesystem::path& folder, const Config& config,
                                      const Options& options) {
  if (!config.has("lin") || !config.has("recipe")) return std::nullopt;
  return options.with_type([&]<class T>() { return run_lpips<T>(folder, options.context()); });
}

}  // namespace daguerre::conformance
