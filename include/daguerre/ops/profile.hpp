#pragma once

#include <array>
#include <chrono>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "daguerre/ops/context.hpp"

namespace daguerre::ops {

/// What a profile tells apart. Products are `conv2d`, `linear` and `attention`; the others move memory.
enum class OpKind {
  conv2d,
  linear,
  attention,
  group_norm,
  layer_norm,
  activation,   ///< also gated ones
  add,          ///< and other arithmetic element by element, means
  concatenate,  ///< also cutting out and rearranging
  cast,
  resample,
  embedding,
};
inline constexpr std::array op_kinds{OpKind::conv2d,     OpKind::linear,      OpKind::attention,
                                     OpKind::group_norm, OpKind::layer_norm,  OpKind::activation,
                                     OpKind::add,        OpKind::concatenate, OpKind::cast,
                                     OpKind::resample,   OpKind::embedding};
/// "conv2d", "group_norm" …
std::string_view name(OpKind kind) noexcept;
/// Whether an engine runs it: convolution, matrix product, attention.
bool is_product(OpKind kind) noexcept;

/// The parts of a run.
enum class Stage {
  outside,  ///< none of the others
  text_encoder,
  image_encoder,
  step,  ///< the denoiser with its guidance, and the sampler
  decoder,
};

/// Where the time of a run goes. A host hangs one into `Context::profile` (or GenerateOptions::profile) and
/// reads it after the run; several runs, also of several threads, may share one.
///
/// Times are wall times as the calling thread sees them. An operation inside another one counts once, for the
/// inner; an operation that throws counts, too.
class Profile {
 public:
  struct Totals {
    Index calls = 0;
    Index flops = 0;  ///< 2 x multiplications; only of products
    double seconds = 0.0;
  };

  class Span;

  /// Times one operation from construction to destruction, on one thread. Costs a null test where the
  /// context has no profile.
  class Scope {
   public:
    Scope(const Context& context, OpKind kind, Index flops = 0) : kind_(kind), flops_(flops) {
      if (context.profile) enter(*context.profile);
    }
    ~Scope() {
      if (profile_ != nullptr) leave();
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    /// For what is known only when the result is there.
    void add_flops(Index flops) noexcept { flops_ += flops; }

   private:
    friend class Span;
    explicit Scope(Stage stage) : stage_(stage), is_stage_(true) {}
    void enter(Profile& profile);
    void leave() noexcept;

    Profile* profile_ = nullptr;
    Scope* outer_ = nullptr;  // the innermost other one of this thread
    OpKind kind_ = OpKind::conv2d;
    Stage stage_ = Stage::outside;
    bool is_stage_ = false;
    Index flops_ = 0;
    double inner_seconds_ = 0.0;
    std::chrono::steady_clock::time_point start_{};
  };

  /// Times one stage likewise; operations inside are booked under it.
  class Span {
   public:
    Span(const Context& context, Stage stage) : scope_(stage) {
      if (context.profile) scope_.enter(*context.profile);
    }

   private:
    Scope scope_;
  };

  /// All operations of that kind in all spans of that stage that have ended.
  Totals operations(Stage stage, OpKind kind) const;
  /// The duration of each span of that stage that has ended, in that order.
  std::vector<double> spans(Stage stage) const;
  /// Forgets what was collected.
  void clear();

 private:
  static constexpr std::size_t stage_count = 5;
  struct StageData {
    std::array<Totals, op_kinds.size()> operations{};
    std::vector<double> spans;
  };

  mutable std::mutex mutex_;
  std::array<StageData, stage_count> stages_;
  std::map<std::thread::id, Scope*> innermost_;  // of the threads that are inside of one
};

}  // namespace daguerre::ops
