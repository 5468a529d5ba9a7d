#pragma once

#include <span>
#include <stop_token>
#include <string>

#include "daguerre/evaluation/feature_network.hpp"
#include "daguerre/media/image.hpp"

namespace daguerre::evaluation {

/// The part of a network that embeds texts, beside its pictures.
class TextExtractor {
 public:
  virtual ~TextExtractor() = default;
  virtual Tensor<float> operator()(std::span<const std::string> texts, std::stop_token stop) const = 0;
};

/// What stands behind a FeatureNetwork: one kind of network, loaded, with the preprocessing that belongs to
/// it. Its functions mean what FeatureNetwork's do. Immutable, and safe from many threads.
class FeatureExtractor {
 public:
  virtual ~FeatureExtractor() = default;
  virtual const std::string& kind() const noexcept = 0;
  virtual const std::string& definition() const noexcept = 0;
  virtual const std::string& fingerprint() const noexcept = 0;
  virtual Index dimension() const noexcept = 0;
  /// Throws Cancelled when `stop` is requested.
  virtual PictureFeatures operator()(std::span<const Image> pictures, std::stop_token stop) const = 0;
  /// nullptr where it reads no texts.
  virtual const TextExtractor* texts() const noexcept { return nullptr; }
};

}  // namespace daguerre::evaluation
