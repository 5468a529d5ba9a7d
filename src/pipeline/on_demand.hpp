#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "daguerre/pipeline/components.hpp"
#include "daguerre/pipeline/ip_adapter.hpp"
#include "daguerre/pipeline/load_component.hpp"

namespace daguerre {

/// Something that is loaded when it is used and goes with its last user. Users at the same time share one. A
/// lease keeps what is loaded while it lasts from one use to the next. Safe from many threads; copies are the
/// same.
template <class Value>
class OnDemand {
 public:
  /// Loads, for a run with that context; what it throws reaches the user.
  using Load = std::function<std::shared_ptr<const Value>(const ops::Context& run)>;
  explicit OnDemand(Load load) : state_(std::make_shared<State>(std::move(load))) {}

  /// What is loaded, now if need be. Throws Cancelled when `run` is stopped, also while another one loads.
  std::shared_ptr<const Value> use(const ops::Context& run) const {
    auto& state = *state_;
    std::unique_lock lock(state.mutex);
    state.loaded.wait(lock, run.stop, [&] { return !state.loading; });
    run.check_stop();
    if (auto present = state.value.lock()) return state.keep(std::move(present));
    state.loading = true;
    lock.unlock();
    std::shared_ptr<const Value> value;
    try {
      value = state.load(run);
    } catch (...) {
      lock.lock();
      state.loading = false;
      state.loaded.notify_all();  // one of those that wait tries itself
      throw;
    }
    lock.lock();
    state.loading = false;
    state.value = value;
    state.loaded.notify_all();
    return state.keep(std::move(value));
  }

  Lease lease() const {
    const std::lock_guard lock(state_->mutex);
    ++state_->leases;
    return Lease(nullptr, [state = state_](const void*) { state->end_lease(); });
  }

 private:
  struct State {
    explicit State(Load how) : load(std::move(how)) {}
    const Load load;
    std::mutex mutex;
    std::condition_variable_any loaded;
    bool loading = false;
    std::weak_ptr<const Value> value;
    int leases = 0;
    std::shared_ptr<const Value> kept;  // the same, while there are leases

    std::shared_ptr<const Value> keep(std::shared_ptr<const Value> used) {
      if (leases > 0) kept = used;
      return used;
    }
    void end_lease() {
      std::shared_ptr<const Value> last;  // goes when the mutex is free again
      const std::lock_guard lock(mutex);
      if (--leases == 0) last = std::move(kept);
    }
  };

  std::shared_ptr<State> state_;
};

/// The parts behind `opened`, loaded with `context` whenever they are used, but for what belongs to the run:
/// its threads and its wish to stop. Their configuration and their tokenizer stay.
std::shared_ptr<const TextEncoder> on_demand(const Opened<TextEncoder>& opened, const LoadContext& context);
std::shared_ptr<const Autoencoder> on_demand(const Opened<Autoencoder>& opened, const LoadContext& context);
std::shared_ptr<const ImageEncoder> on_demand(const Opened<ImageEncoder>& opened, const LoadContext& context);

}  // namespace daguerre
