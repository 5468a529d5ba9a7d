#include "daguerre/evaluation/perceptual_distance.hpp"

#include <array>
#include <filesystem>
#include <functional>
#include <utility>

#include "core/paths.hpp"
#include "core/text.hpp"
#include "daguerre/models/feature_extractors/lpips.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/engine_registry.hpp"
#include "daguerre/pipeline/load_component.hpp"
#include "evaluation/weights_fingerprint.hpp"

namespace daguerre::evaluation {
namespace {

namespace fs = std::filesystem;

constexpr const char* perceptual_distance_name = "perceptual_distance";
constexpr std::string_view lpips_prefix = "lpips-";

using LpipsRun =
    std::function<double(const ops::Context& context, const Tensor<float>& a, const Tensor<float>& b)>;

/// A network whose element type is forgotten.
struct LoadedLpips {
  LpipsRun run;
  Index smallest_side = 0;
};

/// One file, or torchvision's and the package's.
weights::StateDict lpips_weights(const std::string& paths, const Threads& threads) {
  const auto load = [&](const std::string& path) {
    return weights::StateDict::load(std::filesystem::path(path), {.threads = threads});
  };
  const auto comma = paths.find(',');
  if (comma == std::string::npos || path_exists(paths)) return load(paths);
  return load(paths.substr(0, comma)).joined(load(paths.substr(comma + 1)));
}

/// `[1, H, W, 3]` in [-1, 1], as the package's im2tensor.
Tensor<float> lpips_input(const Image& picture) {
  const Image colours = picture.to_channels(3);
  Tensor<float> result({1, colours.height(), colours.width(), 3});
  float* to = result.data();
  for (const std::uint8_t value : colours.pixels())
    *to++ = static_cast<float>(static_cast<double>(value) / 127.5 - 1.0);
  return result;
}

std::string_view trunk_title(models::LpipsTrunk trunk) {
  return trunk == models::LpipsTrunk::alex  ? "AlexNet"
         : trunk == models::LpipsTrunk::vgg ? "VGG16"
                                            : "SqueezeNet 1.1";
}

}  // namespace

struct PerceptualDistance::State {
  std::string kind, definition, fingerprint;
  LoadedLpips network;
  ops::Context compute;
};

PerceptualDistance PerceptualDistance::load(std::string_view network, const FeatureNetworkOptions& options) {
  const auto colon = network.find(':');
  const auto kind = network.substr(0, colon);
  const auto trunk =
      kind.starts_with(lpips_prefix) ? models::lpips_trunk(kind.substr(lpips_prefix.size())) : std::nullopt;
  if (!trunk || colon == std::string_view::npos || colon + 1 == network.size())
    throw ArgumentError(
        perceptual_distance_name,
        in_quotes(network) + " is none of lpips-alex:PATH, lpips-vgg:PATH and lpips-squeeze:PATH");
  if (options.threads < 0)
    throw ArgumentError(perceptual_distance_name, "threads is " + std::to_string(options.threads));
  const auto engine = ops::make_engine(options.engine);
  const Threads threads(options.threads == 0 ? available_threads() : options.threads);
  const LoadContext context{
      .compute = {.engine = engine, .threads = threads, .pool = {}, .stop = options.stop, .profile = {}},
      .precision = resolved(options.precision, *engine),
      .log = options.log};
  const auto weights =
      models::with_lpips_names(lpips_weights(std::string(network.substr(colon + 1)), threads));
  if (const auto found = models::lpips_trunk_of(weights); found != *trunk)
    throw WeightError(perceptual_distance_name,
                      weights.source() + ": " + std::string(trunk_title(found)) + ", expected " +
                          std::string(trunk_title(*trunk)),
                      weights.path());
  Precision used = context.precision;
  auto loaded = with_precision(context, Role::other, [&]<class T>(const LoadContext& own) {
    used = own.precision;
    auto lpips =
        std::make_shared<const models::Lpips<T>>(*trunk, nn::Loader{weights::Scope(weights), own.compute});
    report(weights, own);
    return LoadedLpips{[lpips](const ops::Context& running, const Tensor<float>& a, const Tensor<float>& b) {
                         const auto distance = (*lpips)(running, a, b).distance;
                         ops::check_finite(distance, perceptual_distance_name);
                         return static_cast<double>(distance.data()[0]);
                       },
                       lpips->smallest_side()};
  });
  std::string definition = "LPIPS v0.1 of " + std::string(trunk_title(*trunk)) +
                           " with its linear layers, pictures at their own size in [-1, 1]; " +
                           std::string(short_name(used));
  auto state = std::make_shared<State>(State{std::string(kind), std::move(definition),
                                             weights_fingerprint(weights, threads), std::move(loaded),
                                             context.compute});
  return PerceptualDistance(std::move(state));
}

const std::string& PerceptualDistance::kind() const noexcept {
  return state_->kind;
}
const std::string& PerceptualDistance::definition() const noexcept {
  return state_->definition;
}
std::string_view PerceptualDistance::engine() const noexcept {
  return state_->compute.engine->name();
}

const std::string& PerceptualDistance::fingerprint() const noexcept {
  return state_->fingerprint;
}
Index PerceptualDistance::smallest_side() const noexcept {
  return state_->network.smallest_side;
}

double PerceptualDistance::operator()(const Image& a, const Image& b, std::stop_token stop) const {
  const auto size_of = [](const Image& image) {
    return std::to_string(image.width()) + " x " + std::to_string(image.height());
  };
  const Index smallest = state_->network.smallest_side;
  for (const Image* picture : {&a, &b})
    if (picture->width() < smallest || picture->height() < smallest)
      throw ArgumentError(perceptual_distance_name, "a picture is " + size_of(*picture) + ", " +
                                                        state_->kind + " takes " + std::to_string(smallest) +
                                                        " pixels a side at least");
  if (a.width() != b.width() || a.height() != b.height())
    throw ArgumentError(perceptual_distance_name, "pictures of " + size_of(a) + " and " + size_of(b) +
                                                      " cannot be compared, expected two of one size");
  const ops::Context context{.engine = state_->compute.engine,
                             .threads = state_->compute.threads,
                             .pool = {},
                             .stop = std::move(stop),
                             .profile = {}};
  return state_->network.run(context, lpips_input(a), lpips_input(b));
}

}  // namespace daguerre::evaluation
