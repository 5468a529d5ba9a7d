#pragma once

#include <string>
#include <vector>

#include "daguerre/pipeline/family.hpp"

namespace daguerre {

/// One of the prompts that AND joins, as it changes from step to step.
struct EditedPrompt {
  struct Entry {
    int until = 0;  ///< its last step, counted from 0
    Prompt prompt;  ///< one side of it
  };
  float weight = 1.0f;
  std::vector<Entry> entries;

  /// The number of the entry of that step.
  std::size_t at(int step) const noexcept;
};

/// One side of a prompt in its language, over so many steps: more than one only where AND joins them, which
/// it does on the positive side. Throws ArgumentError for prompts that cannot be read.
std::vector<EditedPrompt> edited_prompts(const Prompt& prompt, Side side, const Prompting& prompting,
                                         int steps);

/// What the text encoder of that part reads of one side of a prompt.
std::string text_for(std::string_view part, const Prompt& prompt, Side side);

/// The conditions of one picture whose prompt is in a prompt language, or names textual inversions. Throws
/// ArgumentError for a prompt that cannot be read, and for AND where `guider` does not compose.
Conditions read_conditions(const ops::Context& context, const Family& family, const Components& components,
                           const Task& task, const Prompt& prompt, const Guider& guider);

/// `conditionings` with contexts as long as the longest: the last token is repeated, as AUTOMATIC1111 has it.
void fill_up_contexts(const ops::Context& context, std::vector<Conditioning>& conditionings);

}  // namespace daguerre
