#include "daguerre/ops/profile.hpp"

namespace daguerre::ops {

std::string_view name(OpKind kind) noexcept {
  switch (kind) {
    case OpKind::conv2d:
      return "conv2d";
    case OpKind::linear:
      return "linear";
    case OpKind::attention:
      return "attention";
    case OpKind::group_norm:
      return "group_norm";
    case OpKind::layer_norm:
      return "layer_norm";
    case OpKind::activation:
      return "activation";
    case OpKind::add:
      return "add";
    case OpKind::concatenate:
      return "concatenate";
    case OpKind::cast:
      return "cast";
    case OpKind::resample:
      return "resample";
    case OpKind::embedding:
      return "embedding";
  }
  return "unknown";
}

bool is_product(OpKind kind) noexcept {
  return kind == OpKind::conv2d || kind == OpKind::linear || kind == OpKind::attention;
}

void Profile::Scope::enter(Profile& profile) {
  {
    const std::lock_guard lock(profile.mutex_);
    auto& innermost = profile.innermost_[std::this_thread::get_id()];
    outer_ = innermost;
    innermost = this;
  }
  if (!is_stage_ && outer_ != nullptr) stage_ = outer_->stage_;
  profile_ = &profile;
  start_ = std::chrono::steady_clock::now();
}

void Profile::Scope::leave() noexcept {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const std::lock_guard lock(profile_->mutex_);
  const auto innermost = profile_->innermost_.find(std::this_thread::get_id());
  if (outer_ == nullptr) {
    profile_->innermost_.erase(innermost);
  } else {
    innermost->second = outer_;
    outer_->inner_seconds_ += seconds;
  }
  auto& data = profile_->stages_[static_cast<std::size_t>(stage_)];
  if (is_stage_) {
    try {
      data.spans.push_back(seconds);
    } catch (...) {  // no room to remember it
    }
    return;
  }
  auto& totals = data.operations[static_cast<std::size_t>(kind_)];
  ++totals.calls;
  totals.flops += flops_;
  totals.seconds += seconds - inner_seconds_;
}

Profile::Totals Profile::operations(Stage stage, OpKind kind) const {
  const std::lock_guard lock(mutex_);
  return stages_[static_cast<std::size_t>(stage)].operations[static_cast<std::size_t>(kind)];
}

std::vector<double> Profile::spans(Stage stage) const {
  const std::lock_guard lock(mutex_);
  return stages_[static_cast<std::size_t>(stage)].spans;
}

void Profile::clear() {
  const std::lock_guard lock(mutex_);
  stages_ = {};
}

}  // namespace daguerre::ops
