#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace daguerre {

/// Deepest nesting of objects and arrays that any JSON input may have.
inline constexpr std::size_t max_json_depth = 64;

/// A string of a JSON text, checked but not yet copied: what stands between its quotes.
struct JsonString {
  std::string_view raw;  ///< part of the text that is read, and valid as long as that is
  bool escaped = false;  ///< a backslash is in it

  std::string decoded() const;
};

/// Reads JSON (RFC 8259) from beginning to end and hands the values to a derived class as they come. It is
/// strict: valid UTF-8, no duplicate keys nor keys of more than a mebibyte, no nesting deeper than
/// `max_json_depth`, no number beyond a double, nothing behind the document. Strings are not copied, so a
/// text of any size takes no memory but for the keys of objects that are open.
class StrictSax {
 public:
  /// `who` speaks in messages, `source` is the file or what stands for it. With `python_constants`,
  /// `Infinity`, `-Infinity` and `NaN`, which Python's json module writes, are numbers.
  StrictSax(std::string_view who, std::string_view source, bool python_constants = false)
      : who_(who), source_(source), python_constants_(python_constants) {}
  virtual ~StrictSax() = default;

  /// Parses the whole of `text`, which must stay where it is until the last value was used. Throws
  /// FormatError naming the source and the byte offset.
  void parse(std::string_view text);

 protected:
  virtual void on_null() = 0;
  virtual void on_boolean(bool value) = 0;
  /// A whole number below zero, and one from zero on; what does not fit into 64 bits is a fraction.
  virtual void on_integer(std::int64_t value) = 0;
  virtual void on_unsigned(std::uint64_t value) = 0;
  virtual void on_fraction(double value, std::string_view text) = 0;
  virtual void on_string(const JsonString& value) = 0;
  virtual void on_start_object() = 0;
  virtual void on_key(const JsonString& name) = 0;
  virtual void on_start_array() = 0;
  /// An object or array ends.
  virtual void on_end() = 0;
  /// Called now and then, at the latest after a mebibyte: `taken` bytes have been read.
  virtual void on_progress(std::size_t /*taken*/) {}

  /// Throws FormatError: "[who] source: byte N: problem".
  [[noreturn]] void fail(std::string_view problem) const { fail_at(position_, problem); }

 private:
  /// The keys of one object.
  class KeySet {
   public:
    void clear() { keys_.clear(), slots_.clear(); }
    /// False when the key is there already. Keeps the view.
    bool insert(std::string_view key);

   private:
    void grow();
    std::vector<std::string_view> keys_;
    std::vector<std::uint32_t> slots_;  // index + 1 of a key, by its hash; empty while there are few
  };

  [[noreturn]] void fail_at(std::size_t offset, std::string_view problem) const;
  [[noreturn]] void not_json(std::string_view problem) const;
  char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }
  bool ended() const { return position_ == text_.size(); }
  void report_progress();
  void skip_blanks();
  void read_value();
  void read_object();
  void read_array();
  void enter();
  void leave();
  JsonString read_string();
  void read_escape();
  unsigned read_hex4();
  void read_number();
  bool take(std::string_view literal);
  std::size_t take_digits();

  std::string_view who_;
  std::string_view source_;
  bool python_constants_;
  std::string_view text_;
  std::size_t position_ = 0;
  std::size_t reported_ = 0;
  std::size_t depth_ = 0;
  std::vector<KeySet> keys_;              // by depth
  std::deque<std::string> decoded_keys_;  // those with escapes in them
};

}  // namespace daguerre
