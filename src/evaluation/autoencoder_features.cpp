#include "evaluation/autoencoder_features.hpp"

#include <utility>
#include <vector>

#include "daguerre/ops/engine_registry.hpp"
#include "daguerre/pipeline/component_registry.hpp"
#include "daguerre/pipeline/model_source.hpp"
#include "daguerre/pipeline/other_autoencoder.hpp"
#include "evaluation/weights_fingerprint.hpp"

namespace daguerre::evaluation {
namespace {

constexpr const char* autoencoder_kind = "vae";
constexpr Index grid = 4;

/// Where area `i` of `grid` begins among `size` positions, and where it ends: areas overlap where they do not
/// divide them (torch's adaptive_avg_pool2d).
std::pair<Index, Index> area_of(Index i, Index size) {
  return {i * size / grid, ((i + 1) * size + grid - 1) / grid};
}

/// Latents [1, h, w, C], averaged to [1, 16 C].
Tensor<float> averaged(const Tensor<float>& latents) {
  const Index height = latents.dim(1), width = latents.dim(2), channels = latents.dim(3);
  auto result = Tensor<float>::zeros({1, grid * grid * channels});
  const float* in = latents.data();
  float* out = result.data();
  for (Index i = 0; i < grid; ++i) {
    const auto rows = area_of(i, height);
    for (Index j = 0; j < grid; ++j, out += channels) {
      const auto columns = area_of(j, width);
      const auto count = static_cast<double>((rows.second - rows.first) * (columns.second - columns.first));
      for (Index c = 0; c < channels; ++c) {
        double sum = 0.0;
        for (Index y = rows.first; y < rows.second; ++y)
          for (Index x = columns.first; x < columns.second; ++x)
            sum += static_cast<double>(in[(y * width + x) * channels + c]);
        out[c] = static_cast<float>(sum / count);
      }
    }
  }
  return result;
}

class AutoencoderFeatures final : public FeatureExtractor {
 public:
  AutoencoderFeatures(const ComponentSource& part, const LoadContext& load)
      : kind_(autoencoder_kind),
        fingerprint_(weights_fingerprint(part.weights({}), load.compute.threads)),
        autoencoder_(ComponentRegistry::standard().open_autoencoder(part, load).load(load)),
        compute_(load.compute) {
    if (autoencoder_->info().films)
      throw ConfigError(autoencoder_kind,
                        part.class_name + " is an autoencoder of films, expected one of pictures");
    definition_ = part.class_name + ", posterior means of latents averaged to 4 x 4 x " +
                  std::to_string(dimension() / (grid * grid)) + ", pixels to [-1, 1], no resizing, " +
                  std::string(short_name(load.precision));
  }

  const std::string& kind() const noexcept override { return kind_; }
  const std::string& definition() const noexcept override { return definition_; }
  const std::string& fingerprint() const noexcept override { return fingerprint_; }
  Index dimension() const noexcept override { return grid * grid * autoencoder_->info().channels; }

  PictureFeatures operator()(std::span<const Image> pictures, std::stop_token stop) const override {
    ops::Context context;
    context.engine = compute_.engine;
    context.threads = compute_.threads;
    context.stop = std::move(stop);
    std::vector<Tensor<float>> rows;
    for (const auto& picture : pictures) {
      context.check_stop();
      const auto pixels = to_tensor(picture.channels() == 3 ? picture : picture.to_channels(3));
      rows.push_back(averaged(autoencoder_->encode(context, pixels).mean));
    }
    return {concat_leading<float>(rows), {}};
  }

 private:
  std::string kind_, definition_, fingerprint_;
  std::shared_ptr<const Autoencoder> autoencoder_;
  ops::Context compute_;
};

}  // namespace

std::unique_ptr<FeatureExtractor> open_autoencoder_features(const std::filesystem::path& path,
                                                            const FeatureNetworkOptions& options) {
  const auto engine = ops::make_engine(options.engine);
  LoadContext load{
      .compute = {.engine = engine,
                  .threads = Threads(options.threads == 0 ? available_threads() : options.threads),
                  .pool = {},
                  .stop = options.stop,
                  .profile = {}},
      .precision = resolved(options.precision, *engine),
      .log = options.log};
  // A model of nothing else, so that a part's folder, a model's and a file are found by the same rules.
  const ModelSource nothing("autoencoder",
                            Config::parse(R"({"_class_name": "AutoencoderKL"})", "autoencoder"));
  return std::make_unique<AutoencoderFeatures>(with_autoencoder(nothing, path).part("vae"), load);
}

}  // namespace daguerre::evaluation
