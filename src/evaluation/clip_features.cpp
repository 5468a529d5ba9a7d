#include "evaluation/clip_features.hpp"

#include <array>
#include <utility>
#include <vector>

#include "core/text.hpp"
#include "daguerre/ops/engine_registry.hpp"
#include "evaluation/weights_fingerprint.hpp"
#include "pipeline/clip_towers.hpp"

namespace daguerre::evaluation {
namespace {

constexpr std::array<std::pair<std::string_view, ClipPreparation>, 3> clip_kinds{
    {{"clip", ClipPreparation::clip}, {"hps", ClipPreparation::hps}, {"cmmd", ClipPreparation::cmmd}}};

class ClipFeatures final : public FeatureExtractor, public TextExtractor {
 public:
  ClipFeatures(std::string kind, std::shared_ptr<const ClipTowers> towers, std::string fingerprint,
               const LoadContext& loaded)
      : kind_(std::move(kind)),
        definition_(towers->definition()),
        fingerprint_(std::move(fingerprint)),
        towers_(std::move(towers)),
        compute_(loaded.compute),
        log_(loaded.log) {}

  const std::string& kind() const noexcept override { return kind_; }
  const std::string& definition() const noexcept override { return definition_; }
  const std::string& fingerprint() const noexcept override { return fingerprint_; }
  Index dimension() const noexcept override { return towers_->dimension(); }
  PictureFeatures operator()(std::span<const Image> pictures, std::stop_token stop) const override {
    return {towers_->embed_pictures(context(std::move(stop)), pictures), {}};
  }
  const TextExtractor* texts() const noexcept override { return this; }
  Tensor<float> operator()(std::span<const std::string> texts, std::stop_token stop) const override {
    const auto run = context(std::move(stop));
    std::vector<Tensor<float>> rows;
    for (const auto& text : texts) {
      run.check_stop();
      if (const auto lost = towers_->lost(text); !lost.empty() && log_)
        log_(LogLevel::warning, "[" + kind_ + "] does not see the end of the text: " + in_quotes(lost));
      rows.push_back(towers_->embed_text(run, text));
    }
    return concat_leading<float>(rows);
  }

 private:
  ops::Context context(std::stop_token stop) const {
    return {.engine = compute_.engine,
            .threads = compute_.threads,
            .pool = {},
            .stop = std::move(stop),
            .profile = {}};
  }

  std::string kind_, definition_, fingerprint_;
  std::shared_ptr<const ClipTowers> towers_;
  ops::Context compute_;
  LogSink log_;
};

}  // namespace

std::unique_ptr<FeatureExtractor> open_clip_features(std::string_view kind, const std::filesystem::path& path,
                                                     const FeatureNetworkOptions& options) {
  for (const auto& known : clip_kinds) {
    if (kind != known.first) continue;
    const auto engine = ops::make_engine(options.engine);
    const Threads threads(options.threads == 0 ? available_threads() : options.threads);
    const LoadContext context{
        .compute = {.engine = engine, .threads = threads, .pool = {}, .stop = options.stop, .profile = {}},
        .precision = resolved(options.precision, *engine),
        .log = options.log};
    auto towers =
        load_clip_towers(path, known.second, {options.tokenizer, options.tokenizer_fallback}, context);
    return std::make_unique<ClipFeatures>(std::string(kind), std::move(towers),
                                          weights_fingerprint(open_clip_weights(path), threads), context);
  }
  return nullptr;
}

}  // namespace daguerre::evaluation
