#include "evaluation/inception_features.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/text.hpp"
#include "daguerre/metrics/inception_input.hpp"
#include "daguerre/models/feature_extractors/inception_v3.hpp"
#include "daguerre/ops/engine_registry.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "daguerre/pipeline/load_component.hpp"
#include "evaluation/weights_fingerprint.hpp"

namespace daguerre::evaluation {
namespace {

constexpr const char* inception_name = "inception";
/// Pictures that pass through the network together: weights are read from memory once for all of them.
constexpr std::size_t inception_batch = 8;

/// How the network is asked, and what the published files that it is asked with are called.
struct InceptionKind {
  std::string_view name, resizing, file;
  Tensor<float> (*prepare)(const ops::Context& context, const Image& colours);
};

Tensor<float> pytorch_fid_input(const ops::Context& context, const Image& colours) {
  return metrics::inception_input(context, to_unit_tensor(colours), models::InceptionV3<float>::side);
}

Tensor<float> torch_fidelity_input(const ops::Context& context, const Image& colours) {
  Tensor<float> bytes({1, colours.height(), colours.width(), colours.channels()});
  std::ranges::transform(colours.pixels(), bytes.data(),
                         [](std::uint8_t value) { return static_cast<float>(value); });
  return metrics::inception_input_tf1(context, bytes, models::InceptionV3<float>::side);
}

constexpr std::array<InceptionKind, 2> inception_kinds{
    {{"pytorch-fid", "bilinear to 299 x 299 between pixel centres, not antialiased; 2 x / 255 - 1",
      "pt_inception-2015-12-05-6726825d.pth", &pytorch_fid_input},
     {"torch-fidelity", "bilinear to 299 x 299 as TensorFlow 1; (x - 128) / 128",
      "weights-inception-2015-12-05-6726825d.pth", &torch_fidelity_input}}};
/// What the SHA-256 of both published files begins with, as their names say.
constexpr std::string_view published_inception = "6726825d";

const InceptionKind& inception_kind(std::string_view name) {
  const auto* found = std::ranges::find(inception_kinds, name, &InceptionKind::name);
  if (found == inception_kinds.end())
    throw ArgumentError(inception_name, in_quotes(name) + " is neither pytorch-fid nor torch-fidelity");
  return *found;
}

/// The network's own tensors: a batch norm's count of steps steers nothing.
weights::StateDict inception_weights(const std::filesystem::path& path, const Threads& threads) {
  const auto stored = weights::StateDict::load(path, {.threads = threads});
  std::vector<weights::RenamedTensor> kept;
  for (const auto& name : stored.names())
    if (!name.ends_with(".num_batches_tracked")) kept.push_back({name, name});
  return stored.renamed(kept);
}

/// Where the weights are from, for people; warns where that is not what others' figures were made with.
std::string inception_source(const weights::StateDict& weights, const InceptionKind& kind,
                             const LoadContext& context) {
  const auto metadata = weights.metadata();
  const auto told = [&](const char* key) {
    const auto found = metadata.find(key);
    return found == metadata.end() ? std::string() : found->second;
  };
  const auto hash = told("source_sha256");
  const std::string expected = "figures are comparable with those of " + std::string(kind.file) + " alone";
  if (hash.empty()) {
    context.tell(LogLevel::warning, "[inception] " + weights.source() +
                                        " does not say which file it was converted from; " + expected);
    return "weights of unknown source";
  }
  if (!hash.starts_with(published_inception))
    context.tell(LogLevel::warning, "[inception] " + weights.source() +
                                        " was converted from a file of SHA-256 " + in_quotes(hash) +
                                        ", which is not the published one; " + expected);
  const auto file = told("source");
  return "weights " + (file.empty() ? std::string() : file + ", ") + "SHA-256 " + hash;
}

using InceptionRun = std::function<models::InceptionFeatures(const ops::Context&, const Tensor<float>&)>;

class LoadedInception final : public FeatureExtractor {
 public:
  LoadedInception(const InceptionKind& kind, std::string definition, std::string fingerprint,
                  InceptionRun run, ops::Context compute)
      : kind_(kind),
        name_(kind.name),
        definition_(std::move(definition)),
        fingerprint_(std::move(fingerprint)),
        run_(std::move(run)),
        compute_(std::move(compute)) {}

  const std::string& kind() const noexcept override { return name_; }
  const std::string& definition() const noexcept override { return definition_; }
  const std::string& fingerprint() const noexcept override { return fingerprint_; }
  Index dimension() const noexcept override { return models::InceptionV3<float>::features; }

  PictureFeatures operator()(std::span<const Image> pictures, std::stop_token stop) const override {
    if (pictures.empty()) throw ArgumentError(inception_name, "there is no picture");
    const ops::Context context{.engine = compute_.engine,
                               .threads = compute_.threads,
                               .pool = {},
                               .stop = std::move(stop),
                               .profile = compute_.profile};
    const bool biased = kind_.name == "pytorch-fid";
    std::vector<Tensor<float>> features, logits;
    in_batches(context, kind_.name, pictures, [&](const Tensor<float>& batch) {
      const auto made = run_(context, batch);
      features.push_back(made.pool);
      logits.push_back(biased ? made.logits : made.logits_unbiased);
    });
    return {concat_leading<float>(features), concat_leading<float>(logits)};
  }

 private:
  const InceptionKind& kind_;  // a row of the table above
  std::string name_, definition_, fingerprint_;
  InceptionRun run_;
  ops::Context compute_;
};

}  // namespace

Tensor<float> inception_picture(const ops::Context& context, std::string_view kind, const Image& picture) {
  context.check_stop();
  const auto& own = inception_kind(kind);
  if (picture.empty()) throw ArgumentError(inception_name, "a picture is empty");
  return own.prepare(context, picture.to_channels(3));
}

void in_batches(const ops::Context& context, std::string_view kind, std::span<const Image> pictures,
                const std::function<void(const Tensor<float>& batch)>& run) {
  for (std::size_t first = 0; first < pictures.size(); first += inception_batch) {
    const auto count = std::min(inception_batch, pictures.size() - first);
    std::vector<Tensor<float>> inputs;
    for (const auto& picture : pictures.subspan(first, count))
      inputs.push_back(inception_picture(context, kind, picture));
    run(ops::concat<float>(context, inputs, 0));
  }
}

std::unique_ptr<FeatureExtractor> open_inception(std::string_view kind, const std::filesystem::path& path,
                                                 const FeatureNetworkOptions& options) {
  const auto& own = inception_kind(kind);
  const auto engine = ops::make_engine(options.engine);
  const Threads threads(options.threads == 0 ? available_threads() : options.threads);
  const LoadContext context{
      .compute = {.engine = engine, .threads = threads, .pool = {}, .stop = options.stop, .profile = {}},
      .precision = resolved(options.precision, *engine),
      .log = options.log};
  const auto weights = inception_weights(path, threads);
  const auto source = inception_source(weights, own, context);
  Precision used = context.precision;
  auto run = with_precision(context, Role::other, [&]<class T>(const LoadContext& loading) {
    used = loading.precision;
    auto network =
        std::make_shared<const models::InceptionV3<T>>(nn::Loader{weights::Scope(weights), loading.compute});
    report(weights, loading);
    return InceptionRun([network](const ops::Context& running, const Tensor<float>& pictures) {
      return (*network)(running, pictures);
    });
  });
  std::string definition = "Inception v3 as " + std::string(own.name) + " (" + source +
                           "), 2048 features behind the last pool, " + std::string(own.resizing) + ", " +
                           std::string(short_name(used));
  return std::make_unique<LoadedInception>(own, std::move(definition), weights_fingerprint(weights, threads),
                                           std::move(run), context.compute);
}

}  // namespace daguerre::evaluation
