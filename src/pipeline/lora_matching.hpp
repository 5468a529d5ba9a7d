#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/pipeline/family.hpp"
#include "daguerre/pipeline/lora.hpp"
#include "daguerre/weights/delta.hpp"
#include "daguerre/weights/state_dict.hpp"

namespace daguerre {

/// What some LoRAs change in a model's parts, of which each is asked once, and whether that is all of what
/// they would change.
class LoraMatching {
 public:
  /// Those of weight 0 are left out. Throws ArgumentError for one that is not there.
  LoraMatching(std::span<const LoraUse> loras, bool at_load);

  /// Whether there is anything to be applied.
  bool empty() const noexcept { return uses_.empty(); }
  /// Whether one of them changes that part.
  bool changes(const Part& part) const;
  /// What they change in a part whose weights these are. Throws WeightError for keys that fit nothing there,
  /// unless these are accepted.
  weights::Deltas deltas(const Part& part, const weights::StateDict& weights);
  /// Throws WeightError where a LoRA changes parts that `family`'s model does not have or that take none, and
  /// where it changes nothing at all. `absent`: parts that were left out on purpose.
  std::vector<LoraInfo> finished(const Family& family, const std::set<std::string>& absent = {}) const;

 private:
  std::vector<LoraUse> uses_;
  std::vector<LoraInfo> infos_;
  std::set<std::string> asked_;
};

}  // namespace daguerre
