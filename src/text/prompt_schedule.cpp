#include "daguerre/text/prompt_schedule.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "daguerre/core/error.hpp"
#include "text/prompt_text.hpp"

namespace daguerre::text {
namespace {

/// A prompt with its editing, flat: what follows from the brackets is found before anything is written.
///
/// The grammar takes any text in which brackets that do not match stand for themselves, so that what counts
/// are the bracketed groups that are well formed from end to end: `[p]`, `(p)`, `(p:p)` are text,
/// `[p:p:when]`, `[p:when]` and `[p|p]` are not.
class Schedule {
 public:
  explicit Schedule(std::string_view prompt) : text_(decode_utf8(prompt)) { read(); }

  /// Whether the grammar takes the text at all.
  bool is_readable() const noexcept { return readable_; }

  /// The last steps of each of its parts.
  std::vector<int> ends(const ScheduleSteps& how) {
    const bool second = how.second_pass && !how.old;
    const int steps = second ? *how.second_pass : how.steps;
    std::set<int> found{steps};
    bool alternates = false;
    for (auto& group : groups_) {
      if (group.kind == Kind::alternate && group.counts) alternates = true;
      if (group.kind != Kind::edit || !group.counts) continue;
      const auto number = to_utf8(std::span(text_).subspan(group.number, group.number_size));
      double when = python_float(number).value_or(0.0);
      if (how.old)
        when = when < 1.0 ? when * steps : when;
      else if (number.find('.') != number.npos)
        when = (when - (second ? 1.0 : 0.0)) * steps;
      else
        when -= second ? how.steps : 0;
      if (!std::isfinite(when))
        throw ArgumentError(prompt_name, "the step " + in_quotes(number) + " of an edit is out of range");
      group.when = static_cast<int>(std::max(-1.0, std::min<double>(steps, std::trunc(when))));
      if (group.when >= 1) found.insert(group.when);
    }
    if (alternates)
      for (int step = 1; step <= steps; ++step) found.insert(step);
    return {found.begin(), found.end()};
  }

  /// The text of step `step`, counted from 1.
  std::string at(int step) const {
    std::string result;
    std::size_t from = 0, group = 0;
    std::vector<Range> rest;  // what is still to be written, the next one last
    rest.push_back({0, text_.size()});
    while (!rest.empty()) {
      const auto range = rest.back();
      rest.pop_back();
      from = range.begin;
      // Groups lie in the order of their beginnings.
      group = static_cast<std::size_t>(
          std::lower_bound(changing_.begin(), changing_.end(), from,
                           [&](std::size_t i, std::size_t place) { return groups_[i].begin < place; }) -
          changing_.begin());
      if (group == changing_.size() || groups_[changing_[group]].begin >= range.end) {
        write(from, range.end, result);
        continue;
      }
      const auto& next = groups_[changing_[group]];
      write(from, next.begin, result);
      rest.push_back({next.end + 1, range.end});
      if (const auto chosen = choose(next, step); chosen.begin < chosen.end) rest.push_back(chosen);
    }
    return result;
  }

 private:
  enum class Kind { text, edit, alternate };
  struct Range {
    std::size_t begin, end;
  };
  struct Group {
    std::size_t begin, end = 0;  // of the brackets themselves
    bool round;
    bool sound = true;  // nothing in it stands for itself that should not
    bool counts = false;
    Kind kind = Kind::text;
    std::vector<std::size_t> colons{}, bars{};
    std::size_t number = 0, number_size = 0;
    int when = 0;
  };

  void read() {
    std::vector<std::size_t> open;  // groups that are not closed yet
    std::size_t bars = 0, used_bars = 0;
    const auto spoil = [&] {
      // A bracket that stands for itself makes text of all that it is in.
      if (!open.empty()) groups_[open.back()].sound = false;
    };
    for (std::size_t i = 0; i < text_.size(); ++i) {
      const char32_t code = text_[i].code;
      if (code == U'\\') {
        if (i + 1 == text_.size() || text_[i + 1].code == U'\n') return;
        ++i;
      } else if (code == U'(' || code == U'[') {
        open.push_back(groups_.size());
        groups_.push_back({.begin = i, .round = code == U'('});
      } else if (code == U')' || code == U']') {
        if (open.empty()) continue;
        auto& group = groups_[open.back()];
        if (group.round != (code == U')')) {
          spoil();  // it closes nothing: what is open stays open
          continue;
        }
        open.pop_back();
        group.end = i;
        if (!settle(group)) spoil();
      } else if (code == U':' && !open.empty()) {
        groups_[open.back()].colons.push_back(i);
      } else if (code == U'|') {
        ++bars;
        if (!open.empty()) groups_[open.back()].bars.push_back(i);
      }
    }
    // What was opened and never closed stands for itself, and so does what it is in; it is not in anything.
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      auto& group = groups_[i];
      group.counts = group.sound && group.end > 0;
      if (!group.counts) continue;
      if (group.kind == Kind::alternate) used_bars += group.bars.size();
      if (group.kind != Kind::text) changing_.push_back(i);
    }
    readable_ = bars == used_bars;
  }

  /// Finds out what a closed group is. False where it is none of the forms that there are.
  bool settle(Group& group) {
    if (!group.sound) return false;
    if (group.round) {
      group.sound = group.colons.size() <= 1 && group.bars.empty();
    } else if (!group.bars.empty()) {
      group.kind = Kind::alternate;
      group.sound = group.colons.empty();
    } else if (!group.colons.empty()) {
      group.kind = Kind::edit;
      const auto last = group.colons.back() + 1;
      auto number = std::span(text_).subspan(last, group.end - last);
      number = without_blank_begin(without_blank_end(number));
      group.number = static_cast<std::size_t>(number.data() - text_.data());
      group.number_size = number.size();
      group.sound = group.colons.size() <= 2 && is_number_of_grammar(number);
    }
    return group.sound;
  }

  /// `SIGNED_NUMBER` of lark's common terminals.
  static bool is_number_of_grammar(std::span<const Char> text) {
    std::size_t i = 0;
    const auto skip_sign = [&] {
      if (i < text.size() && (text[i].code == U'+' || text[i].code == U'-')) ++i;
    };
    const auto digits = [&] {
      const auto begin = i;
      while (i < text.size() && text[i].code >= U'0' && text[i].code <= U'9') ++i;
      return i - begin;
    };
    skip_sign();
    auto count = digits();
    if (i < text.size() && text[i].code == U'.') {
      ++i;
      count += digits();
    }
    if (count == 0) return false;
    if (i < text.size() && (text[i].code == U'e' || text[i].code == U'E')) {
      ++i;
      skip_sign();
      if (digits() == 0) return false;
    }
    return i == text.size();
  }

  /// What a group is in that step.
  static Range choose(const Group& group, int step) {
    if (group.kind == Kind::edit) {
      const bool has_from = group.colons.size() == 2;
      if (step > group.when) return {(has_from ? group.colons[0] : group.begin) + 1, group.colons.back()};
      return {group.begin + 1, has_from ? group.colons[0] : group.begin + 1};
    }
    const auto variant = static_cast<std::size_t>(step - 1) % (group.bars.size() + 1);
    return {(variant == 0 ? group.begin : group.bars[variant - 1]) + 1,
            variant < group.bars.size() ? group.bars[variant] : group.end};
  }

  void write(std::size_t begin, std::size_t end, std::string& result) const {
    result += to_utf8(std::span(text_).subspan(begin, end - begin));
  }

  const Chars text_;
  std::vector<Group> groups_;
  std::vector<std::size_t> changing_;  // groups that are not text
  bool readable_ = false;
};

}  // namespace

std::vector<ScheduledPrompt> parse_a1111_schedule(std::string_view prompt, const ScheduleSteps& how) {
  constexpr std::size_t most_bytes = std::size_t{64} << 20;
  constexpr int most_steps = 100'000;
  const int steps = how.second_pass && !how.old ? *how.second_pass : how.steps;
  if (how.steps < 1 || steps < 1)
    throw ArgumentError(prompt_name, "a schedule over " + std::to_string(steps) + " steps");
  if (steps > most_steps)
    throw ArgumentError(prompt_name, "a schedule over " + std::to_string(steps) + " steps, " +
                                         std::to_string(most_steps) + " are the most");
  Schedule schedule(prompt);
  if (!schedule.is_readable()) return {{steps, std::string(prompt)}};
  const auto ends = schedule.ends(how);
  if (ends.size() > 1 && prompt.size() > most_bytes / ends.size())
    throw ArgumentError(prompt_name, "a prompt of " + std::to_string(prompt.size()) + " bytes changes " +
                                         std::to_string(ends.size()) + " times: too much text");
  std::vector<ScheduledPrompt> result;
  for (const int end : ends) result.push_back({end, schedule.at(end)});
  return result;
}

std::size_t scheduled_at(const std::vector<ScheduledPrompt>& schedule, int step) noexcept {
  for (std::size_t i = 0; i < schedule.size(); ++i)
    if (step <= schedule[i].until) return i;
  return 0;
}

std::vector<JoinedPrompt> parse_a1111_and(std::string_view prompt) {
  const auto text = decode_utf8(prompt);
  std::vector<JoinedPrompt> result;
  const auto add = [&](std::span<const Char> part) {
    part = without_blank_end(part);
    double weight = 1.0;
    const auto colon = std::find_if(part.rbegin(), part.rend(), [](const Char& c) { return c.code == U':'; });
    if (colon != part.rend()) {
      const auto behind = static_cast<std::size_t>(colon - part.rbegin());
      const auto number = without_blank_begin(part.last(behind));
      if (is_plain_number(number)) {
        weight = python_float(to_utf8(number)).value_or(1.0);
        part = without_blank_end(part.first(part.size() - behind - 1));
      }
    }
    result.push_back({to_utf8(part), weight});
  };
  std::size_t from = 0;
  for (const auto place : places_of_word(text, "AND")) {
    add(std::span(text).subspan(from, place - from));
    from = place + 3;
  }
  add(std::span(text).subspan(from));
  return result;
}

}  // namespace daguerre::text
