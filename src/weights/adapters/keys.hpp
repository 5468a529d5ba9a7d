#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daguerre/weights/state_dict.hpp"

namespace daguerre::weights::adapters {

/// What a tensor of an adapter file is of its module.
enum class Role {
  up,
  down,
  mid,
  up_bias,
  alpha,
  scalar,
  magnitude,
  hada_w1_a,
  hada_w1_b,
  hada_w2_a,
  hada_w2_b,
  hada_t1,
  hada_t2,
  lokr_w1,
  lokr_w1_a,
  lokr_w1_b,
  lokr_w2,
  lokr_w2_a,
  lokr_w2_b,
  lokr_t2,
  diff,
  diff_bias,
  on_input,
  weight,  ///< (IA)^3's factors, with on_input; else a whole tensor of one axis
  scale    ///< a whole norm under Black Forest Labs' names
};

/// A key, taken apart.
struct Key {
  std::string part;    ///< AdapterFile::denoiser …
  std::string module;  ///< with "_" for each ".": "down_blocks_0_attentions_0_proj_in"
  Role role;
  std::string suffix;  ///< as it stands: ".lora_down.weight"
};

/// nothing: the key is of no known form.
std::optional<Key> parse_key(std::string_view key);

/// With "_" for each ".".
std::string flattened(std::string_view name);

/// One layer that an adapter changes.
struct Module {
  std::string part = {}, name = {};            ///< as in Key
  std::map<Role, std::string> keys = {};       ///< in the file
  std::map<Role, Tensor<float>> tensors = {};  ///< their values, those of single numbers included
  std::optional<float> alpha = std::nullopt;   ///< from the metadata
  std::optional<Index> rank = std::nullopt;    ///< likewise
  bool rank_stabilised = false;                ///< alpha is divided by the rank's root

  bool has(Role role) const { return tensors.contains(role); }
  const Tensor<float>& operator[](Role role) const { return tensors.at(role); }
};

/// The modules of a file, sorted, and the keys that are of no known form or name whole matrices, as those of
/// models do; these are not read. Throws FormatError for two keys that say the same, and for what should be a
/// number and is none; WeightError for values that are not finite.
std::vector<Module> read_modules(const StateDict& file, std::vector<std::string>& foreign);

/// Puts what `lora_adapter_metadata` says of ranks and alphas into modules without an alpha of their own.
/// Throws FormatError when it is malformed.
void read_adapter_metadata(const StateDict& file, std::vector<Module>& modules);

/// The family that modules look like, empty when they could be anybody's.
std::string family_of(const std::vector<Module>& modules);

}  // namespace daguerre::weights::adapters
