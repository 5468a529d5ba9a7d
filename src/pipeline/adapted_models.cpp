#include "pipeline/adapted_models.hpp"

#include <algorithm>

namespace daguerre {

Model AdaptedModels::with(const std::vector<LoraUse>& loras, const ops::Context& run) const {
  const bool changes = std::any_of(loras.begin(), loras.end(), [](const LoraUse& use) {
    return use.weight != 0.0f || use.text_weight() != 0.0f;
  });
  if (!changes) return plain_;
  std::shared_ptr<Set> set;
  std::shared_ptr<Set> oldest;  // goes when the mutex is free again
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
    if (sets.size() > most_sets) {
      oldest = std::move(sets.back());
      sets.pop_back();
    }
  }
  const std::lock_guard lock(set->mutex);
  if (!set->model) try {
      set->model = plain_.with_loras(run, loras);
    } catch (...) {
      const std::lock_guard all(sets_->mutex);
      sets_->latest_first.remove(set);  // what cannot be had leaves the others their places
      throw;
    }
  return *set->model;
}

}  // namespace daguerre
