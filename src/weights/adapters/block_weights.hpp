#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daguerre/weights/state_dict.hpp"

namespace daguerre::weights::adapters {

/// How much of an adapter each block of a network gets.
class BlockWeights {
 public:
  /// `values` as in AdapterOptions, for a network (its names are read). Throws ArgumentError for values that
  /// are not finite and for a number of them that the network has no order for.
  BlockWeights(std::vector<float> values, const StateDict& network, bool is_denoiser);

  /// Of a tensor under diffusers' name, which the original layout calls `original`.
  float of(std::string_view name, std::string_view original) const;

 private:
  void check_count() const;
  float of_unet_block(std::string_view original) const;
  float of_transformer_block(std::string_view name) const;

  std::vector<float> values_;
  bool is_denoiser_;
  int double_blocks_, single_blocks_;  ///< of a transformer
};

}  // namespace daguerre::weights::adapters
