#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "daguerre/evaluation/feature_network.hpp"
#include "daguerre/media/image.hpp"

namespace daguerre::evaluation {

/// How unlike two pictures look to a network (LPIPS): precision erased. Immutable, cheap to copy, and safe
/// from many threads.
class PerceptualDistance {
 public:
  /// Loads what `network` names: "lpips-alex:PATH", "lpips-vgg:PATH", "lpips-squeeze:PATH". PATH is a
  /// safetensors file with the tensors of the trunk and of the linear layers, or two, separated by a comma:
  /// torchvision's network (`alexnet-owt-7be5be79.pth` …) and the package's layers (`alex.pth` …), both
  /// converted by examples/models/convert_pickle.py. Throws ArgumentError for another form; WeightError where
  /// the weights are another network's or some are not there; FileError, FormatError.
  static PerceptualDistance load(std::string_view network, const FeatureNetworkOptions& options = {});

  /// "lpips-alex", "lpips-vgg", "lpips-squeeze".
  const std::string& kind() const noexcept;
  /// One line for reports: version, network, layers, range of the pictures, precision.
  const std::string& definition() const noexcept;
  /// The SHA-256 of the weights, whatever files they lie in: figures of two networks must not be mixed.
  const std::string& fingerprint() const noexcept;
  /// The engine's name: another one's values differ in their last digits.
  std::string_view engine() const noexcept;
  /// Of a picture's sides, below which the network sees nothing.
  Index smallest_side() const noexcept;

  /// 0 for equal pictures, about 0.5 for unlike ones; alpha is dropped. Throws ArgumentError for pictures of
  /// unlike sizes, and for sides below `smallest_side`; Cancelled when `stop` is requested, NumericError.
  double operator()(const Image& a, const Image& b, std::stop_token stop = {}) const;

 private:
  struct State;
  explicit PerceptualDistance(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace daguerre::evaluation
