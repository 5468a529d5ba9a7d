#include "pipeline/adapted_models.hpp"

#include <algorithm>
#include <iterator>

namespace daguerre {

/// Makes a prepared set the latest one; the oldest beyond `most_sets_` go.
void AdaptedModels::keep(const std::shared_ptr<Set>& set) const {
  std::list<std::shared_ptr<Set>> dropped;  // gone when the mutex is free again
  const std::lock_guard lock(sets_->mutex);
  auto& sets = sets_->latest_first;
  // It may have been dropped meanwhile, and asked for again by others.
  const auto found =
      std::find_if(sets.begin(), sets.end(), [&](const auto& known) { return known->loras == set->loras; });
  if (found != sets.end())
    sets.splice(sets.begin(), sets, found);
  else
    sets.push_front(set);
  while (sets.size() > most_sets_) dropped.splice(dropped.begin(), sets, std::prev(sets.end()));
}

Model AdaptedModels::with(const std::vector<LoraUse>& loras, const ops::Context& run) const {
  const bool changes = std::any_of(loras.begin(), loras.end(), [](const LoraUse& use) {
    return use.weight != 0.0f || use.text_weight() != 0.0f;
  });
  if (!changes) return plain_;
  std::shared_ptr<Set> set;
  {
    const std::lock_guard lock(sets_->mutex);
    auto& sets = sets_->latest_first;
    const auto found =
        std::find_if(sets.begin(), sets.end(), [&](const auto& known) { return known->loras == loras; });
    if (found != sets.end())
      sets.splice(sets.begin(), sets, found);
    else
      sets.push_front(std::make_shared<Set>(loras));
    set = sets.front();
  }
  const std::lock_guard lock(set->mutex);
  if (!set->model) try {
      set->model = plain_.with_loras(run, loras);
      keep(set);
    } catch (...) {
      const std::lock_guard all(sets_->mutex);
      sets_->latest_first.remove(set);  // what cannot be had leaves the others their places
      throw;
    }
  return *set->model;
}

}  // namespace daguerre
