#include "daguerre/evaluation/feature_network.hpp"

#include "core/attempt.hpp"
#include "core/text.hpp"
#include "daguerre/ops/engine_registry.hpp"
#include "evaluation/autoencoder_features.hpp"
#include "evaluation/clip_features.hpp"
#include "evaluation/inception_features.hpp"

namespace daguerre::evaluation {
namespace {

constexpr const char* network_name = "feature_network";

}  // namespace

struct FeatureNetwork::State {
  std::unique_ptr<const FeatureExtractor> extractor;
  std::string engine;
  Threads threads;
};

FeatureNetwork FeatureNetwork::load(std::string_view network, const FeatureNetworkOptions& options) {
  const auto colon = network.find(':');
  const auto kind = network.substr(0, colon);
  const bool is_inception = kind == "pytorch-fid" || kind == "torch-fidelity";
  const bool is_clip = kind == "clip" || kind == "hps" || kind == "cmmd";
  const bool is_autoencoder = kind == "vae";
  if (colon == std::string_view::npos || colon + 1 == network.size() ||
      !(is_inception || is_clip || is_autoencoder))
    throw ArgumentError(
        network_name,
        in_quotes(network) +
            " is none of pytorch-fid:PATH, torch-fidelity:PATH, clip:PATH, hps:PATH, cmmd:PATH, vae:PATH");
  if (options.threads < 0) throw ArgumentError(network_name, "threads is " + std::to_string(options.threads));
  const std::filesystem::path path(network.substr(colon + 1));
  return naming(path, [&] {
    auto extractor = is_clip          ? open_clip_features(kind, path, options)
                     : is_autoencoder ? open_autoencoder_features(path, options)
                                      : open_inception(kind, path, options);
    return FeatureNetwork(std::make_shared<const State>(
        State{std::move(extractor), std::string(ops::make_engine(options.engine)->name()),
              Threads(options.threads == 0 ? available_threads() : options.threads)}));
  });
}

const std::string& FeatureNetwork::kind() const noexcept {
  return state_->extractor->kind();
}

const std::string& FeatureNetwork::definition() const noexcept {
  return state_->extractor->definition();
}

const std::string& FeatureNetwork::fingerprint() const noexcept {
  return state_->extractor->fingerprint();
}

Index FeatureNetwork::dimension() const noexcept {
  return state_->extractor->dimension();
}

bool FeatureNetwork::reads_texts() const noexcept {
  return state_->extractor->texts() != nullptr;
}

PictureFeatures FeatureNetwork::operator()(std::span<const Image> pictures, std::stop_token stop) const {
  if (pictures.empty()) throw ArgumentError(network_name, "there is no picture");
  return (*state_->extractor)(pictures, std::move(stop));
}

Tensor<float> FeatureNetwork::texts(std::span<const std::string> texts, std::stop_token stop) const {
  if (!reads_texts())
    throw ArgumentError(network_name, kind() + " reads no texts; expected a network clip:PATH or hps:PATH");
  if (texts.empty()) throw ArgumentError(network_name, "there is no text");
  return (*state_->extractor->texts())(texts, std::move(stop));
}

const std::string& FeatureNetwork::engine() const noexcept {
  return state_->engine;
}

const Threads& FeatureNetwork::threads() const noexcept {
  return state_->threads;
}

}  // namespace daguerre::evaluation
