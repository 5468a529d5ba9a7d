#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "daguerre/pipeline/model.hpp"

namespace daguerre {

/// A model with the sets of LoRAs that were asked for last. Safe from many threads; a set that several ask
/// for at the same time is prepared once.
class AdaptedModels {
 public:
  /// As many sets are kept as a few hosts' threads use in turn; one where memory is scarce.
  AdaptedModels(Model plain, bool is_memory_limited)
      : plain_(std::move(plain)), most_sets_(is_memory_limited ? 1 : 4), sets_(std::make_shared<Sets>()) {}

  const Model& plain() const noexcept { return plain_; }
  /// The model with `loras`. Throws what Model::with_loras does.
  Model with(const std::vector<LoraUse>& loras, const ops::Context& run) const;

 private:
  struct Set {
    explicit Set(std::vector<LoraUse> uses) : loras(std::move(uses)) {}
    const std::vector<LoraUse> loras;
    std::mutex mutex;
    std::optional<Model> model;
  };
  struct Sets {
    std::mutex mutex;
    std::list<std::shared_ptr<Set>> latest_first;
  };

  void keep(const std::shared_ptr<Set>& set) const;

  Model plain_;
  std::size_t most_sets_;
  std::shared_ptr<Sets> sets_;
};

}  // namespace daguerre
