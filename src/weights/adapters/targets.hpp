#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daguerre/weights/state_dict.hpp"

namespace daguerre::weights::adapters {

/// A tensor that an adapter file may name, and what it is of the network's: one tensor, or several whose rows
/// it has one behind the other.
struct Target {
  std::vector<std::string> sources;
  Shape shape;  ///< of the whole
  bool halves_swapped = false;
};

/// What can be changed in a network, by all the names that adapter files have for it: diffusers' and the
/// original layout's, each with "_" for ".".
class Targets {
 public:
  explicit Targets(const StateDict& weights);

  /// The tensor `kind` ("weight", "bias", "scale") of a module; nullptr when there is none.
  const Target* find(const std::string& module, std::string_view kind) const;
  /// The shape of one of the network's own tensors; nullptr when there is none.
  const Shape* tensor(const std::string& name) const;
  /// What the original layout calls a tensor of the network; itself where there is no other name.
  const std::string& original_name(const std::string& name) const;

 private:
  void add(const std::string& name, Target target);

  std::unordered_map<std::string, Target> targets_;
  std::unordered_map<std::string, Shape> shapes_;
  std::unordered_map<std::string, std::string> original_;
};

}  // namespace daguerre::weights::adapters
