#include "pipeline/prompt_conditions.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "daguerre/ops/rearrange.hpp"
#include "daguerre/text/prompt_schedule.hpp"
#include "pipeline/name.hpp"
#include "pipeline/prompt_encoder.hpp"

namespace daguerre {
namespace {

/// The texts of one side, in the order of the text encoders.
std::array<std::optional<std::string>*, 3> texts_of(Prompt& prompt, Side side,
                                                    std::optional<std::string>& first) {
  if (side == Side::positive) {
    first = prompt.text;
    return {&first, &prompt.text_2, &prompt.text_3};
  }
  return {&prompt.negative, &prompt.negative_2, &prompt.negative_3};
}

/// The same prompt with other texts on one side.
Prompt with_texts(const Prompt& prompt, Side side, const std::array<std::optional<std::string>, 3>& texts) {
  auto result = prompt;
  if (side == Side::positive) {
    result.text = texts[0].value_or("");
    result.text_2 = texts[1];
    result.text_3 = texts[2];
  } else {
    result.negative = texts[0];
    result.negative_2 = texts[1];
    result.negative_3 = texts[2];
  }
  return result;
}

EditedPrompt edited(const Prompt& prompt, Side side, const std::array<std::optional<std::string>, 3>& texts,
                    int steps) {
  std::array<std::vector<text::ScheduledPrompt>, 3> schedules;
  std::set<int> ends;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (!texts[i]) continue;
    schedules[i] = text::parse_a1111_schedule(*texts[i], {.steps = steps});
    for (const auto& entry : schedules[i]) ends.insert(entry.until);
  }
  EditedPrompt result;
  if (ends.empty()) ends.insert(steps);
  for (const int end : ends) {
    std::array<std::optional<std::string>, 3> now;
    for (std::size_t i = 0; i < texts.size(); ++i)
      if (texts[i]) now[i] = schedules[i][text::scheduled_at(schedules[i], end)].prompt;
    result.entries.push_back({end, with_texts(prompt, side, now)});
  }
  return result;
}

/// One schedule's prompts, all through encoders that know them.
struct Reading {
  Components components;
  std::vector<std::shared_ptr<ReadingTextEncoder>> beside;  ///< whose states stand side by side
};

Reading reading_of(const EditedPrompt& prompt, Side side, const Family& family, const Components& components,
                   const Task& task) {
  Reading result{components, {}};
  const bool several = components.text_encoders.size() > 1;
  // The reference leaves layers out for the prompt only; the programs whose languages these are, for both.
  const int further_skip =
      side == Side::negative && task.prompting.syntax != PromptSyntax::plain ? task.clip_skip : 0;
  for (auto& [name, encoder] : result.components.text_encoders) {
    std::vector<std::string> texts;
    for (const auto& entry : prompt.entries) texts.push_back(text_for(name, entry.prompt, side));
    auto reader = std::make_shared<ReadingTextEncoder>(encoder, name, task.prompting, several,
                                                       std::move(texts), further_skip);
    const auto part = std::find_if(family.parts.begin(), family.parts.end(),
                                   [&key = name](const Part& known) { return known.name == key; });
    if (part == family.parts.end() || part->text == Part::Text::beside) result.beside.push_back(reader);
    encoder = std::move(reader);
  }
  return result;
}

Index longest(const Reading& reading) {
  Index most = 1;
  for (const auto& encoder : reading.beside) most = std::max(most, encoder->window_count());
  return most;
}

std::vector<Conditioning> conditionings_of(const ops::Context& context, const Reading& reading,
                                           Index least_windows, const EditedPrompt& prompt, Side side,
                                           const Family& family, const Task& task) {
  for (const auto& encoder : reading.beside) encoder->set_least_windows(least_windows);
  std::vector<Conditioning> result;
  for (std::size_t i = 0; i < prompt.entries.size(); ++i) {
    const auto& entries = prompt.entries;
    const auto same = std::find_if(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(i),
                                   [&](const auto& entry) { return entry.prompt == entries[i].prompt; });
    const auto place = static_cast<std::size_t>(same - entries.begin());
    result.push_back(place < i
                         ? result[place]
                         : family.condition(context, reading.components, task, entries[i].prompt, side));
  }
  return result;
}

}  // namespace

std::size_t EditedPrompt::at(int step) const noexcept {
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (step <= entries[i].until) return i;
  return 0;
}

std::string text_for(std::string_view part, const Prompt& prompt, Side side) {
  const bool positive = side == Side::positive;
  const std::string first = positive ? prompt.text : prompt.negative.value_or("");
  if (part.ends_with("_2")) return (positive ? prompt.text_2 : prompt.negative_2).value_or(first);
  if (part.ends_with("_3")) return (positive ? prompt.text_3 : prompt.negative_3).value_or(first);
  return first;
}

std::vector<EditedPrompt> edited_prompts(const Prompt& prompt, Side side, const Prompting& prompting,
                                         int steps) {
  if (prompting.syntax != PromptSyntax::a1111) {
    EditedPrompt whole;
    whole.entries.push_back({steps, prompt});
    return {whole};
  }
  auto own = prompt;
  std::optional<std::string> first;
  const auto texts = texts_of(own, side, first);
  std::array<std::vector<text::JoinedPrompt>, 3> parts;
  std::size_t count = 1;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (!*texts[i]) continue;
    if (side == Side::positive)
      parts[i] = text::parse_a1111_and(**texts[i]);
    else
      parts[i] = {{**texts[i], 1.0}};
    if (count > 1 && parts[i].size() > 1 && parts[i].size() != count)
      throw ArgumentError("prompt", "AND joins " + std::to_string(count) +
                                        " prompts for one text encoder and " +
                                        std::to_string(parts[i].size()) + " for another");
    count = std::max(count, parts[i].size());
  }
  std::vector<EditedPrompt> result;
  for (std::size_t part = 0; part < count; ++part) {
    std::array<std::optional<std::string>, 3> now;
    float weight = 1.0f;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (parts[i].empty()) continue;
      const auto& joined = parts[i][std::min(part, parts[i].size() - 1)];
      now[i] = joined.prompt;
      if (i == 0) weight = static_cast<float>(joined.weight);
    }
    result.push_back(edited(prompt, side, now, steps));
    result.back().weight = weight;
  }
  return result;
}

void fill_up_contexts(const ops::Context& context, std::vector<Conditioning>& conditionings) {
  Index most = 0;
  for (const auto& conditioning : conditionings)
    if (conditioning.context.rank() == 3) most = std::max(most, conditioning.context.dim(1));
  for (auto& conditioning : conditionings) {
    auto& states = conditioning.context;
    if (states.rank() != 3 || states.dim(1) == most) continue;
    const auto last = states.reshape({states.dim(1), states.dim(2)}).slice(states.dim(1) - 1, states.dim(1));
    const std::vector<Tensor<float>> copies(static_cast<std::size_t>(most - states.dim(1)), last);
    const auto rest = concat_leading<float>(copies);
    states = ops::concat<float>(context, std::array{states, rest.reshape({1, rest.dim(0), rest.dim(1)})}, 1);
  }
}

Conditions read_conditions(const ops::Context& context, const Family& family, const Components& components,
                           const Task& task, const Prompt& prompt, const Guider& guider) {
  const auto positive = edited_prompts(prompt, Side::positive, task.prompting, task.steps);
  const bool composes = positive.size() > 1 || positive.front().weight != 1.0f;
  if (composes && !guider.composes())
    throw ArgumentError(
        pipeline_name,
        "AND, and a weight for the whole prompt, take classifier-free guidance: a scale above 1, "
        "and a model that is guided by a negative prompt");
  std::vector<EditedPrompt> negative;
  if (guider.needs_negative()) negative = edited_prompts(prompt, Side::negative, task.prompting, task.steps);

  std::vector<Reading> readings;
  std::vector<Index> windows;
  const auto add_readings = [&](const std::vector<EditedPrompt>& prompts, Side side) {
    for (const auto& one : prompts) {
      readings.push_back(reading_of(one, side, family, components, task));
      windows.push_back(longest(readings.back()));
    }
  };
  add_readings(positive, Side::positive);
  add_readings(negative, Side::negative);
  // compel's conditions of one picture are all of one length.
  if (task.prompting.syntax == PromptSyntax::compel)
    windows.assign(windows.size(), *std::max_element(windows.begin(), windows.end()));
  std::vector<std::vector<Conditioning>> made;
  std::set<int> starts{0};
  const auto make = [&](const EditedPrompt& one, Side side) {
    const auto number = made.size();
    made.push_back(conditionings_of(context, readings[number], windows[number], one, side, family, task));
    for (const auto& entry : one.entries)
      if (entry.until + 1 < task.steps) starts.insert(entry.until + 1);
  };
  for (const auto& one : positive) make(one, Side::positive);
  for (const auto& one : negative) make(one, Side::negative);

  const auto at = [&](int step) {
    std::vector<Conditioning> now;
    for (std::size_t i = 0; i < positive.size(); ++i) now.push_back(made[i][positive[i].at(step)]);
    if (task.prompting.syntax == PromptSyntax::a1111) fill_up_contexts(context, now);
    Conditions result{.positive = now.front(), .negative = {}, .weight = positive.front().weight};
    for (std::size_t i = 1; i < positive.size(); ++i) result.others.push_back({now[i], positive[i].weight});
    if (!negative.empty()) result.negative = made.back()[negative.front().at(step)];
    return result;
  };
  auto result = at(0);
  for (const int step : starts) {
    if (step == 0) continue;
    const auto same = [&](const EditedPrompt& one) {
      return one.entries[one.at(step)].prompt == one.entries[one.at(step - 1)].prompt;
    };
    if (std::all_of(positive.begin(), positive.end(), same) &&
        std::all_of(negative.begin(), negative.end(), same))
      continue;
    result.later.push_back(std::make_shared<const LaterConditions>(LaterConditions{step, at(step)}));
  }
  return result;
}

}  // namespace daguerre
