#include "conformance/case.hpp"
#include "conformance/recipe_weights.hpp"
#include "daguerre/models/feature_extractors/inception_v3.hpp"
#include "daguerre/ops/pool.hpp"
#include "evaluation/inception_features.hpp"

/// Inception v3 as FID, IS and KID ask it, and what it is made of. The cases name no class.
namespace daguerre::conformance {
namespace {

/// Recorded in float32; in float64 the reference's features are 4e-7 from it, its logits 8e-7.
constexpr double inception_bound = 2e-6;

Image recorded_picture(const Recorded& run, const std::string& name) {
  const auto& file = run.file();
  const auto* info = file.find(name);
  Image picture(info->shape[1], info->shape[0], info->shape[2]);
  const auto bytes = file.bytes(*info);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    picture.pixels()[i] = std::to_integer<std::uint8_t>(bytes[i]);
  return picture;
}

/// Each 37th row and 13th column of what the network is given, channels first: `input[:, ::37, ::13]`.
Tensor<float> some_pixels(const Tensor<float>& input) {
  const Index rows = (input.dim(1) + 36) / 37, columns = (input.dim(2) + 12) / 13;
  Tensor<float> result({3, rows, columns});
  for (Index c = 0; c < 3; ++c)
    for (Index y = 0; y < rows; ++y)
      for (Index x = 0; x < columns; ++x)
        result.data()[(c * rows + y) * columns + x] = input.data()[(37 * y * input.dim(2) + 13 * x) * 3 + c];
  return result;
}

template <class T>
void run_network(const Recorded& run, const std::filesystem::path& folder, const Options& options,
                 Result& result) {
  const auto context = options.context();
  const bool is_fidelity = run.has("out.2048.0");
  const models::InceptionV3<T> network(
      {weights::Scope(recipe_weights(folder, "inception_v3_pytorch_fid")), context});
  const double bound = options.precision == Precision::float32 ? inception_bound : bounds::bfloat16_network;
  const auto compare = [&](const std::string& name, const Tensor<float>& actual, double allowed) {
    if (!run.has(name)) return;
    const auto expected = run.file().read<float>(name);
    result.checks.push_back(
        {name + run.label(), test::difference(actual.reshape(expected.shape()), expected), allowed});
  };
  for (int i = 0;; ++i) {
    const std::string place = "." + std::to_string(i);
    if (!run.has("in.image" + place)) return;
    const auto input = evaluation::inception_picture(context, is_fidelity ? "torch-fidelity" : "pytorch-fid",
                                                     recorded_picture(run, "in.image" + place));
    compare("mid.input_rows" + place, some_pixels(input), 0.0);
    const auto made = network(context, input, {.middle = true, .logits = true});
    compare("mid.block0_mean" + place, made.first_pool, bound);
    compare("mid.block1_mean" + place, made.second_pool, bound);
    compare("mid.block2_mean" + place, made.before_aux, bound);
    compare("out.pool3" + place, made.pool, bound);
    compare("out.64" + place, made.first_pool, bound);
    compare("out.192" + place, made.second_pool, bound);
    compare("out.768" + place, made.before_aux, bound);
    compare("out.2048" + place, made.pool, bound);
    compare("out.logits_unbiased" + place, made.logits_unbiased, bound);
    compare("out.logits" + place, made.logits, bound);
  }
}

/// One convolution with its batch norm, and both pools with padding.
template <class T>
void run_parts(const Recorded& run, const std::filesystem::path& folder, const Config& config,
               const Options& options, Result& result) {
  const auto context = options.context();
  const auto loader = loader_for(folder / "weights.safetensors", context);
  const Index kernel = config.require_int("kernel_size");
  const auto weight = loader.scope.shape("conv.weight");
  const nn::BasicConv2d<T> conv(loader, {weight[0], weight[1], kernel, kernel},
                                ops::ConvGeometry::same(0, config.get("stride", 1)),
                                static_cast<float>(config.get("bn_eps", 1e-3)));
  const double bound = options.precision == Precision::float32 ? bounds::block : bounds::bfloat16_network;
  const auto x = run.tensor_as<T>("in.x");
  const ops::PoolWindow window{.size = 3, .stride = 1, .pad = 1};
  const auto compare = [&](const std::string& name, const Tensor<T>& actual) {
    result.checks.push_back({name + run.label(),
                             test::difference(actual.template to<float>(), run.tensor("out." + name)),
                             bound});
  };
  compare("y", conv(context, x));
  compare("avg_pool", ops::average_pool(context, x, window));
  compare("max_pool", ops::max_pool(context, x, window));
}

}  // namespace

std::optional<Result> run_inception_model(const std::filesystem::path& folder, const Config& config,
                                          const Options& options) {
  if (!config.class_name().empty()) return std::nullopt;
  Result result;
  for (const auto& run : recorded_runs(folder)) {
    const bool is_network = run.has("out.pool3.0") || run.has("out.2048.0");
    if (!is_network && !run.has("out.avg_pool")) return std::nullopt;
    options.with_type([&]<class T>() {
      if (is_network)
        run_network<T>(run, folder, options, result);
      else
        run_parts<T>(run, folder, config, options, result);
    });
  }
  return result;
}

}  // namespace daguerre::conformance
