#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace daguerre::evaluation {

/// A prompt that models are asked for, and what kind of prompt it is.
struct SuitePrompt {
  std::string text;
  std::string category;  ///< empty where the suite has none
};

/// How the prompts of a suite are written down.
enum class SuiteFormat {
  automatic,   ///< by what lies there: a folder is HPSv2's; a file by its name's extension, else lines
  lines,       ///< a prompt on each line; lines of blanks are none
  csv,         ///< RFC 4180 with a header: DrawBench's (Prompts, Category) and the like
  tsv,         ///< fields between tabs, quotes standing for themselves, with a header: PartiPrompts' (Prompt,
               ///< Category, Challenge, Note)
  hps,         ///< HPSv2's benchmark: anime.json, concept-art.json, paintings.json and photo.json, a list of
               ///< texts each, in a folder; or one file, such a list or an object of them by style
  json_lines,  ///< a text or an object with "prompt" on each line, the category under "category" or, as
               ///< GenEval has it, "tag"; other keys are left alone
};

/// The format of that name: "auto", "lines", "csv", "tsv", "hps" or "jsonl". Throws ArgumentError.
SuiteFormat suite_format_called(std::string_view name);

struct SuiteOptions {
  SuiteFormat format = SuiteFormat::automatic;
  /// The column or key that holds the category ("Challenge" …); empty: the usual one. Upper and lower case
  /// are alike.
  std::string category{};
};

/// A suite of prompts, in the order of its file.
struct PromptSuite {
  std::string name;  ///< of the file or folder, for reports
  std::vector<SuitePrompt> prompts;

  /// Reads the suite at `path`: UTF-8, with or without a byte order mark, lines ended by LF, CRLF or CR.
  /// Throws FileError; FormatError, naming the line, for what is malformed, for a prompt that is missing, and
  /// for more than `max_suite_bytes` or `max_suite_prompts`; ArgumentError for a category's column that is
  /// not there, or where there is none to choose.
  static PromptSuite load(const std::filesystem::path& path, const SuiteOptions& options = {});
  /// The same from memory; `name` is what its errors call it. `automatic` goes by its extension.
  static PromptSuite parse(std::string_view text, std::string name, const SuiteOptions& options = {});

  /// The categories in the order in which they first come; empty where the suite has none.
  std::vector<std::string> categories() const;
  std::vector<std::string> texts() const;
};

inline constexpr std::size_t max_suite_bytes = std::size_t{64} << 20;
inline constexpr std::size_t max_suite_prompts = 1'000'000;

}  // namespace daguerre::evaluation
