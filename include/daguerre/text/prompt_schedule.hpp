#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace daguerre::text {

/// A prompt while it lasts.
struct ScheduledPrompt {
  /// The last step, counted from 0, that it is used in: AUTOMATIC1111 has it in one step more than the number
  /// says.
  int until = 0;
  std::string prompt;

  friend bool operator==(const ScheduledPrompt&, const ScheduledPrompt&) = default;
};

/// How the numbers of `[from:to:when]` are understood.
struct ScheduleSteps {
  int steps = 20;
  /// Steps of a second pass, whose part of the schedule is wanted: fractions 1 to 2, and steps beyond the
  /// first pass.
  std::optional<int> second_pass{};
  bool old = false;  ///< before version 1.6: a number below 1 is a fraction, any other one a step
};

/// AUTOMATIC1111's prompt editing `[from:to:when]`, `[to:when]`, `[from::when]` and alternation `[a|b]`
/// (`get_learned_conditioning_prompt_schedules`): the prompts in their order, the last one to the end. `when`
/// is a fraction of the steps where it has a point, else a step. A text that its grammar does not take (a
/// bar outside of brackets, a lone backslash at the end) stands for itself. Throws ArgumentError for steps
/// below 1, an infinite `when`, and more text than 64 MiB.
std::vector<ScheduledPrompt> parse_a1111_schedule(std::string_view prompt, const ScheduleSteps& steps);
/// The one that is used in step `step`, from 0, as an index.
std::size_t scheduled_at(const std::vector<ScheduledPrompt>& schedule, int step) noexcept;

/// One of the prompts that AND joins.
struct JoinedPrompt {
  std::string prompt;
  double weight = 1.0;  ///< behind a colon at its end

  friend bool operator==(const JoinedPrompt&, const JoinedPrompt&) = default;
};
/// AUTOMATIC1111's `a AND b:0.8` (`get_multicond_prompt_list`); never empty.
std::vector<JoinedPrompt> parse_a1111_and(std::string_view prompt);

}  // namespace daguerre::text
