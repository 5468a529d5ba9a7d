#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/log.hpp"
#include "daguerre/core/parallel.hpp"
#include "daguerre/core/tensor.hpp"
#include "daguerre/media/image.hpp"
#include "daguerre/pipeline/precision.hpp"

namespace daguerre::evaluation {

struct FeatureNetworkOptions {
  std::string engine = "auto";  ///< as LoadOptions::engine
  Precision precision = Precision::float32;
  int threads = 0;  ///< 0: `available_threads()`
  /// Where CLIP's vocabulary lies for models that bring none; see SourceOptions.
  std::filesystem::path tokenizer{}, tokenizer_fallback{};
  LogSink log{};
  std::stop_token stop{};
};

/// What a network says of pictures.
struct PictureFeatures {
  Tensor<float> features;  ///< [N, D]
  Tensor<float> logits;    ///< [N, classes] where the network classifies, else empty: without the bias
                           ///< (`logits_unbiased`) for torch-fidelity's
};

/// A network that turns pictures into vectors, with the preprocessing that belongs to it: precision erased.
/// Immutable, cheap to copy, and safe from many threads. What it makes of a picture does not depend on the
/// pictures beside it.
class FeatureNetwork {
 public:
  /// Loads what `network` names: "pytorch-fid:PATH", "torch-fidelity:PATH" (Inception v3 with the one's and
  /// the other's preprocessing), "clip:PATH" and "hps:PATH" (as PictureJudge), "cmmd:PATH" (CLIP, pictures
  /// prepared as CMMD's reference does: bicubic interpolation to the network's size, no crop), "vae:PATH" (an
  /// autoencoder's posterior means, averaged to 4 x 4 positions; PATH as with_autoencoder takes it). Throws
  /// ArgumentError for another form, and what loading throws.
  static FeatureNetwork load(std::string_view network, const FeatureNetworkOptions& options = {});

  /// "pytorch-fid", "torch-fidelity", "clip", "hps", "cmmd", "vae".
  const std::string& kind() const noexcept;
  /// One line for reports: network, layer, resizing, normalisation, precision.
  const std::string& definition() const noexcept;
  /// The SHA-256 of the weights' bytes: figures of two networks must not be mixed.
  const std::string& fingerprint() const noexcept;
  Index dimension() const noexcept;
  /// Whether it embeds texts, too (CLIP's do).
  bool reads_texts() const noexcept;
  /// Of one picture or several. Throws Cancelled, ArgumentError for an empty picture or none, NumericError.
  PictureFeatures operator()(std::span<const Image> pictures, std::stop_token stop = {}) const;
  /// `[N, dimension()]`, to be compared with pictures' features by their cosine. Throws ArgumentError for a
  /// network that reads none, and for no text; Cancelled.
  Tensor<float> texts(std::span<const std::string> texts, std::stop_token stop = {}) const;
  /// The engine's name: another one's features differ in their last digits.
  const std::string& engine() const noexcept;
  /// That it was loaded with: for what is done around it, as decoding.
  const Threads& threads() const noexcept;

 private:
  struct State;
  explicit FeatureNetwork(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace daguerre::evaluation
