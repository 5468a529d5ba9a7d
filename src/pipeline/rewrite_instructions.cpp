#include <array>

#include "config/json.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/pipeline/prompt_rewriter.hpp"

namespace daguerre {
namespace {

constexpr std::size_t most_instruction_bytes = std::size_t{64} << 10;

struct StandardInstruction {
  const char* name;
  bool parts;
  const char* text;
};

// They are short, because small models follow short ones, and say what must not change before what may.
constexpr std::array<StandardInstruction, 3> standard_instructions = {{
    {"expand", false,
     "You write captions for an image generator. The user gives you a short prompt. Rewrite it as one "
     "detailed caption "
     "of 40 to 80 words, in English, in plain sentences.\n"
     "Keep everything the user named: every thing, count, colour, place, text in quotes, and style. Change "
     "none of it "
     "and leave nothing out.\n"
     "Add what a picture needs and the user left open: what the main subject looks like and does, what is "
     "around it and "
     "where, the light, the colours, the point of view, and the kind of picture.\n"
     "Describe only what can be seen. Do not use negations, opinions, lists or quality words such as "
     "\"masterpiece\".\n"
     "Answer with the caption only."},
    {"translate", false,
     "Translate the user's prompt for an image generator into English. Translate everything, add nothing, "
     "explain "
     "nothing. Keep names, numbers, commas and text in quotes as they are. If the prompt is in English "
     "already, repeat "
     "it unchanged. Answer with the translation only."},
    {"split", true,
     "The user gives you a prompt for an image generator. Split it into parts, one for each separate thing "
     "in the "
     "picture, then one for the place and light, then one for the style. Write each part on a line of its "
     "own, with all "
     "words that belong to it: colours and counts stay with their thing. Use only what the prompt says. "
     "Answer with "
     "these lines only, at most eight, without numbers or bullets."},
}};

}  // namespace

RewriteInstruction RewriteInstruction::standard(std::string_view name) {
  std::string names;
  for (const auto& instruction : standard_instructions) {
    if (name == instruction.name) return {instruction.name, instruction.text, instruction.parts};
    names += std::string(names.empty() ? "" : ", ") + instruction.name;
  }
  throw ArgumentError("rewriter",
                      "there is no instruction \"" + std::string(name) + "\"; there are " + names);
}

RewriteInstruction RewriteInstruction::load(const std::filesystem::path& file) {
  auto text = read_text_file(file, most_instruction_bytes);
  if (text.find_first_not_of(" \t\r\n") == text.npos)
    throw FormatError("rewriter", file.string() + ": the instruction is empty", file);
  return {file.stem().string(), std::move(text), false};
}

}  // namespace daguerre
