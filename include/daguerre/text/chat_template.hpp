#pragma once

#include <cstddef>
#include <ctime>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace daguerre::text {

/// One turn of a conversation.
struct ChatMessage {
  std::string role;  ///< "system", "user", "assistant" …
  std::string content;
};

/// How much a template may do. A template comes with a model, from anywhere: it cannot read files or run on
/// without end, whatever it says.
struct ChatTemplateLimits {
  std::size_t steps = 1'000'000;  ///< expressions, statements and elements gone through
  std::size_t work = 64u << 20;   ///< bytes of all texts and lists that are made on the way
  std::size_t output = 4u << 20;  ///< bytes of what comes out
  std::size_t source = 1u << 20;  ///< bytes of the template
};

/// The template that turns a conversation into the text a language model was trained on: the `chat_template`
/// of tokenizer_config.json or chat_template.jinja, in the part of the Jinja language (jinja2 3.1) that
/// published templates use, read as transformers does, with trim_blocks and lstrip_blocks.
///
/// Statements: if, for (with else, if, break, continue), set, macro, call, filter, with, raw, generation
/// (without effect). Expressions: all operators, filters and tests of lists, texts and numbers, methods of
/// Python's str, dict and list that change nothing, range, namespace, dict, raise_exception, strftime_now,
/// loop with all its members. Not there: import, include, extends, block, recursive loops, groupby, batch,
/// format.
class ChatTemplate {
 public:
  /// What is beside the messages.
  struct Options {
    bool add_generation_prompt = true;  ///< ends where the assistant's answer begins
    /// More variables: tools, enable_thinking, date_string …: a JSON object; empty: none.
    std::string variables{};
    /// What strftime_now writes; by default the local time.
    std::optional<std::tm> now{};
  };

  /// `name` is how errors call it; `tokens` are variables that are always there: bos_token, eos_token …
  /// Throws FormatError with the line of what is wrong, and for more than `limits.source` bytes.
  explicit ChatTemplate(std::string_view source, std::string name = "chat template",
                        std::map<std::string, std::string> tokens = {}, ChatTemplateLimits limits = {});

  /// The template of a model's folder: chat_template.jinja, or "chat_template" in chat_template.json or
  /// tokenizer_config.json (of several the one called "default"), with the special tokens that the latter
  /// names. nullopt where it has none. Throws FileError, FormatError.
  static std::optional<ChatTemplate> find(const std::filesystem::path& folder,
                                          ChatTemplateLimits limits = {});

  /// The text of a conversation. Throws ArgumentError where the template refuses it (raise_exception),
  /// FormatError with the line where it fails or exceeds its limits.
  std::string render(std::span<const ChatMessage> messages, const Options& options) const;
  std::string render(std::span<const ChatMessage> messages) const { return render(messages, Options()); }
  /// The same of messages as a JSON list, which may have what a plain message has not (tool calls, lists of
  /// contents). Throws FormatError for text that is no such list, too.
  std::string render_json(std::string_view messages, const Options& options) const;
  std::string render_json(std::string_view messages) const { return render_json(messages, Options()); }

  const std::string& name() const noexcept;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace daguerre::text
