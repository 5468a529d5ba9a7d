#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "daguerre/pipeline/cascade.hpp"
#include "daguerre/pipeline/model_source.hpp"
#include "daguerre/pipeline/upscaler.hpp"

namespace daguerre {

/// A stage's network while it is there: one of the two.
struct LoadedStage {
  std::optional<Pipeline> pipeline;
  std::optional<Upscaler> upscaler;
};

/// A stage as far as it is known without its weights.
struct StageSource {
  CascadeStage stage;
  std::string label;                  ///< "stage 2 of 3 (if-ii)"
  std::optional<ModelSource> source;  ///< nothing: an upscaler
  std::string what;                   ///< the class of its pipeline, or "upscaler"
  std::string title;                  ///< of its family, for messages
  bool takes_picture = true;
  bool enlarges = true;  ///< what comes out is never smaller
  int usual_steps = 1;
  LoadOptions load;

  /// Looks at what lies at the stage's path. Throws what ModelSource::open throws, and ConfigError.
  static StageSource look(const CascadeStage& stage, std::string label, const LoadOptions& load);
  LoadedStage loaded(std::stop_token stop) const;
};

/// Calls `f`; an error of the library that leaves it names the stage.
template <class F>
decltype(auto) in_stage(const std::string& label, const F& f);

/// Rethrows the library's error that is being handled with the stage before its text.
[[noreturn]] void rethrow_in_stage(const std::string& label);

/// Throws ArgumentError where pictures of the size `to` are none of the size `from` made larger.
void check_sizes_follow(const StageSource& stage, Extent from, Extent to);

/// What the stage shall make of a picture of that size, as far as its options say it: height and width;
/// nullopt: as the model does. Throws ArgumentError for a scale that gives no whole pixels.
std::optional<Extent> wanted_size(const StageSource& stage, const StageOptions& options,
                                  std::optional<Extent> from);

template <class F>
decltype(auto) in_stage(const std::string& label, const F& f) {
  try {
    return f();
  } catch (const Error&) {
    rethrow_in_stage(label);
  }
}

}  // namespace daguerre
