#include "daguerre/pipeline/upscaler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/attempt.hpp"
#include "daguerre/models/upscalers/rrdbnet.hpp"
#include "daguerre/models/upscalers/srvgg.hpp"
#include "daguerre/ops/engine_registry.hpp"
#include "daguerre/pipeline/load_component.hpp"
#include "media/picture_file.hpp"
#include "pipeline/picture_tiles.hpp"

namespace daguerre {
namespace {

constexpr const char* upscaler_speaker = "upscaler";
constexpr int most_upscaler_runs = 3;

/// A network whose element type is forgotten.
struct UpscalerNetwork {
  std::function<Tensor<float>(const ops::Context&, const Tensor<float>&)> run;
  Index channels = 3;
  Index scale = 1;
  Index multiple = 1;  ///< that the sides of what it is given are of
  std::string description;
};

template <template <class> class Network, class NetworkConfig>
UpscalerNetwork make_network(const NetworkConfig& config, const weights::StateDict& weights,
                             const LoadContext& context) {
  UpscalerNetwork result;
  result.run = with_precision(context, Role::other, [&]<class T>(const LoadContext& own) {
    auto network =
        std::make_shared<const Network<T>>(config, nn::Loader{weights::Scope(weights), own.compute});
    report(weights, own);
    return std::function<Tensor<float>(const ops::Context&, const Tensor<float>&)>(
        [network](const ops::Context& run, const Tensor<float>& pictures) {
          return (*network)(run, pictures);
        });
  });
  return result;
}

UpscalerNetwork load_rrdbnet(const weights::StateDict& weights, const LoadContext& context) {
  const auto config = models::RrdbNetConfig::from(weights);
  auto result = make_network<models::RrdbNet>(config, weights, context);
  result.channels = config.in_channels;
  result.scale = config.scale();
  result.multiple = config.pixel_unshuffle;
  result.description = "RRDBNet, " + std::to_string(config.blocks) + " blocks of " +
                       std::to_string(config.features) + " channels, x" + std::to_string(result.scale);
  return result;
}

UpscalerNetwork load_srvgg(const weights::StateDict& weights, const LoadContext& context) {
  const auto config = models::SrvggConfig::from(weights);
  auto result = make_network<models::Srvgg>(config, weights, context);
  result.channels = config.channels;
  result.scale = config.scale;
  result.description = "SRVGGNetCompact, " + std::to_string(config.convs) + " convolutions of " +
                       std::to_string(config.features) + " channels, x" + std::to_string(result.scale);
  return result;
}

UpscalerNetwork load_network(const weights::StateDict& weights, const LoadContext& context) {
  if (models::is_rrdbnet(weights)) return load_rrdbnet(models::with_rrdbnet_names(weights), context);
  if (models::is_srvgg(weights)) return load_srvgg(weights, context);
  std::string first;
  const auto names = weights.names();
  for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 3); ++i)
    first += (first.empty() ? "" : ", ") + names[i];
  throw WeightError(upscaler_speaker,
                    weights.source() +
                        ": no upscaler that is known; expected the tensors of an RRDBNet (model.0, "
                        "conv_first …) or an SRVGGNetCompact (body.0 …), found " +
                        std::to_string(names.size()) + " tensors: " + first + (names.size() > 3 ? ", …" : ""),
                    weights.path());
}

/// The colours at `rows` x `columns`, the picture mirrored at its right and lower borders as far as it goes.
Tensor<float> tile_input(const Image& image, const PictureTile& tile, Index multiple) {
  const auto rounded_up = [&](Index size) { return (size + multiple - 1) / multiple * multiple; };
  const auto mirrored = [](Index i, Index size) {
    const Index period = std::max<Index>(2 * size - 2, 1);
    return std::min(i % period, period - i % period) % size;
  };
  const Index rows = rounded_up(tile.height), columns = rounded_up(tile.width), channels = image.channels();
  Tensor<float> result({1, rows, columns, channels});
  float* to = result.data();
  for (Index y = 0; y < rows; ++y)
    for (Index x = 0; x < columns; ++x) {
      const Index row = tile.top + mirrored(y, tile.height), column = tile.left + mirrored(x, tile.width);
      const std::uint8_t* pixel = image.pixels().data() + (row * image.width() + column) * channels;
      for (Index c = 0; c < channels; ++c) *to++ = static_cast<float>(pixel[c]) / 255.0f;
    }
  return result;
}

/// The colours of `colours` with the alpha of `alpha`, which is RGBA and as large.
Image with_alpha_of(const Image& colours, const Image& alpha) {
  Image result = colours.to_channels(4);
  for (std::size_t i = 3; i < result.pixels().size(); i += 4) result.pixels()[i] = alpha.pixels()[i];
  return result;
}

}  // namespace

struct Upscaler::State {
  std::shared_ptr<const ops::Engine> engine;
  Threads threads;
  UpscalerNetwork network;
  std::string name;

  Image run(const Image& image, const UpscaleOptions& options, int done, int runs) const;
};

Upscaler Upscaler::load(const std::filesystem::path& path, const UpscalerOptions& options) {
  return naming(path, [&] {
    if (options.threads < 0)
      throw ArgumentError(upscaler_speaker, "threads is " + std::to_string(options.threads));
    const auto engine = ops::make_engine(options.engine);
    const Threads threads(options.threads == 0 ? available_threads() : options.threads);
    const LoadContext context{
        .compute = {.engine = engine, .threads = threads, .pool = {}, .stop = options.stop, .profile = {}},
        .precision = resolved(options.precision, *engine),
        .log = options.log};
    auto network = load_network(weights::StateDict::load(path), context);
    context.tell(LogLevel::info, "[upscaler] " + path.string() + ": " + network.description);
    return Upscaler(
        std::make_shared<const State>(State{engine, threads, std::move(network), path.stem().string()}));
  });
}

Expected<Upscaler> Upscaler::try_load(const std::filesystem::path& path,
                                      const UpscalerOptions& options) noexcept {
  return attempt([&] { return load(path, options); });
}

/// Enlarges the colours of `image`, which are as many as the network takes. It is the run `done` of `runs`.
Image Upscaler::State::run(const Image& image, const UpscaleOptions& options, int done, int runs) const {
  const ops::Context context{
      .engine = engine, .threads = threads, .pool = {}, .stop = options.stop, .profile = {}};
  const Index scale = network.scale;
  const auto columns = tile_spans(image.width(), options.tile, options.overlap, network.multiple);
  const auto rows = tile_spans(image.height(), options.tile, options.overlap, network.multiple);
  TileJoiner joiner(image.width() * scale, image.height() * scale, image.channels());
  const int total = static_cast<int>(columns.size() * rows.size());
  int tiles = 0;
  for (const auto& row : rows) {
    for (const auto& column : columns) {
      context.check_stop();
      const PictureTile tile{column.begin, row.begin, column.size(), row.size()};
      const auto output = network.run(context, tile_input(image, tile, network.multiple));
      joiner.add(output, column.scaled(scale), row.scaled(scale));
      ++tiles;
      if (options.on_tile && !options.on_tile(done * total + tiles, runs * total))
        throw Cancelled(upscaler_speaker, "the tile callback stopped the run");
    }
    joiner.end_row(row.scaled(scale));
  }
  return joiner.take();
}

Image Upscaler::operator()(const Image& image, const UpscaleOptions& options) const {
  return (*this)(image, image.width() * scale(), image.height() * scale(), options);
}

Image Upscaler::operator()(const Image& image, Index width, Index height,
                           const UpscaleOptions& options) const {
  const auto& network = state_->network;
  check_tiling(upscaler_speaker, options.tile, options.overlap, network.multiple);
  if (image.empty()) throw ArgumentError(upscaler_speaker, "an empty picture cannot be enlarged");
  const auto fits = [&](Index times) { return is_permitted(image.width() * times, image.height() * times); };
  if (!is_permitted(width, height) || !fits(network.scale))
    throw ArgumentError(upscaler_speaker,
                        "a picture of " + std::to_string(image.width()) + " x " +
                            std::to_string(image.height()) + " would be too large enlarged " +
                            std::to_string(network.scale) + " times and brought to " + std::to_string(width) +
                            " x " + std::to_string(height) + ", " + limit_text());
  int runs = 1;
  for (Index larger = network.scale;
       network.scale > 1 && runs < most_upscaler_runs && fits(larger * network.scale) &&
       (larger * image.width() < width || larger * image.height() < height);
       larger *= network.scale)
    ++runs;
  Image result = image.to_channels(network.channels == 1 ? 1 : 3);
  for (int i = 0; i < runs; ++i) result = state_->run(result, options, i, runs);
  result = result.resized(width, height);
  if (image.channels() == 1) return result.to_channels(1);
  return image.channels() == 4 ? with_alpha_of(result, image.resized(width, height)) : result;
}

Expected<Image> Upscaler::try_upscale(const Image& image, Index width, Index height,
                                      const UpscaleOptions& options) const noexcept {
  return attempt([&] { return (*this)(image, width, height, options); });
}

Index Upscaler::scale() const noexcept {
  return state_->network.scale;
}
const std::string& Upscaler::description() const noexcept {
  return state_->network.description;
}
const std::string& Upscaler::name() const noexcept {
  return state_->name;
}

}  // namespace daguerre
