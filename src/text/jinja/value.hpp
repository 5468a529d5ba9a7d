#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

/// What the templates of daguerre/text/chat_template.hpp compute with: Python's values, as far as they need
/// them. They do not change once made, but for the attributes of a namespace.
namespace daguerre::text::jinja {

/// Something is wrong with a template or with what it was given; whoever knows the line adds it.
class Fault : public std::runtime_error {
 public:
  explicit Fault(const std::string& what, bool refused = false)
      : std::runtime_error(what), refused_(refused) {}
  /// By the template itself, which called raise_exception.
  bool refused() const noexcept { return refused_; }

 private:
  bool refused_;
};

/// Counts what a rendering does, and ends it where that is too much.
class Meter {
 public:
  Meter(std::size_t steps, std::size_t bytes) : steps_(steps), bytes_(bytes) {}
  void step() {
    if (steps_ == 0) throw Fault("takes more steps than are allowed");
    --steps_;
  }
  /// Bytes that are made or looked at.
  void work(std::size_t bytes) {
    if (bytes > bytes_) throw Fault("makes more text than is allowed");
    bytes_ -= bytes;
  }

 private:
  std::size_t steps_, bytes_;
};

class Value;
using List = std::vector<Value>;
/// In the order in which keys were added; keys are strings, numbers or truths.
using Dict = std::vector<std::pair<Value, Value>>;

/// How a function is called.
struct Arguments {
  List positional;
  std::vector<std::pair<std::string, Value>> named;

  /// The argument at `place`, or called `name`; nullopt where it is not given. Marks it as taken.
  std::optional<Value> take(std::size_t place, std::string_view name);
  Value require(std::size_t place, std::string_view name);
  /// Throws Fault where an argument was not taken; `callee` is what was called.
  void finish(std::string_view callee) const;

 private:
  std::vector<std::size_t> taken_;  // places; named ones are removed
};

/// Namespaces, loops, functions. Lists, dictionaries and namespaces do not hold them, so that nothing holds
/// itself.
class Object {
 public:
  virtual ~Object() = default;
  virtual const char* kind() const noexcept = 0;
  /// nullopt where there is none.
  virtual std::optional<Value> attribute(std::string_view name, Meter& meter) const;
  virtual bool callable() const noexcept { return false; }
  virtual Value call(Arguments arguments, Meter& meter) const;
};

/// One value; copies share what is large.
class Value {
 public:
  struct Undefined {
    std::string what;  ///< as a message names it
  };
  struct ListNode {
    List items;
    int depth = 1;
  };
  struct DictNode {
    Dict items;
    int depth = 1;
  };

  Value() = default;  ///< Python's None
  Value(bool value) : data_(value) {}
  Value(std::int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(std::string value) : data_(std::make_shared<const std::string>(std::move(value))) {}
  Value(const char* value) : Value(std::string(value)) {}
  // Throws Fault where they are nested too deeply or hold objects.
  Value(List items);
  Value(Dict items);
  Value(std::shared_ptr<Object> object) : data_(std::move(object)) {}
  static Value undefined(std::string what);

  bool is_none() const noexcept { return std::holds_alternative<std::monostate>(data_); }
  bool is_undefined() const noexcept { return get<std::shared_ptr<const Undefined>>() != nullptr; }
  const std::string& undefined_what() const { return (*get<std::shared_ptr<const Undefined>>())->what; }
  // nullptr where it is of another kind.
  const bool* boolean() const noexcept { return get<bool>(); }
  const std::int64_t* integer() const noexcept { return get<std::int64_t>(); }
  const double* fraction() const noexcept { return get<double>(); }
  const std::string* string() const noexcept { return pointee<const std::string>(); }
  const List* list() const noexcept;
  const Dict* dict() const noexcept;
  Object* object() const noexcept { return pointee<Object>(); }

  /// A number or a truth as a double, a truth or a whole number as an integer; nullopt where it is none.
  std::optional<double> as_number() const noexcept;
  std::optional<std::int64_t> as_integer() const noexcept;
  /// "str", "int", "list" …, as Python calls it.
  const char* kind() const noexcept;
  /// How deeply lists and dictionaries are nested; 0: it is neither.
  int depth() const noexcept;

 private:
  template <class T>
  const T* get() const noexcept {
    return std::get_if<T>(&data_);
  }
  template <class T>
  T* pointee() const noexcept {
    const auto* pointer = std::get_if<std::shared_ptr<T>>(&data_);
    return pointer ? pointer->get() : nullptr;
  }

  std::variant<std::monostate, bool, std::int64_t, double, std::shared_ptr<const std::string>,
               std::shared_ptr<const ListNode>, std::shared_ptr<const DictNode>, std::shared_ptr<Object>,
               std::shared_ptr<const Undefined>>
      data_;
};

bool is_true(const Value& value);
bool equal(const Value& a, const Value& b, Meter& meter);
/// Of numbers, strings and lists; throws Fault for others.
bool less(const Value& a, const Value& b, Meter& meter);
/// Whether `container` holds `item`: Python's `in`.
bool contains(const Value& container, const Value& item, Meter& meter);
const Value* find_key(const Dict& dict, const Value& key, Meter& meter);
/// Elements, keys or characters, one after another. Throws Fault for what has none.
List elements(const Value& value, Meter& meter);
/// How many those are; throws Fault likewise.
std::int64_t length(const Value& value, Meter& meter);
/// Python's `str`; nothing for what is not defined.
std::string to_text(const Value& value, Meter& meter);
/// Python's `repr`.
std::string to_repr(const Value& value, Meter& meter);
/// Python's `json.dumps` with ensure_ascii=False.
struct JsonStyle {
  std::optional<std::string> indent;
  std::string item_separator = ", ", key_separator = ": ";
  bool sort_keys = false, ascii = false;
};
std::string to_json(const Value& value, const JsonStyle& style, Meter& meter);

/// Code points of UTF-8; malformed parts as U+FFFD.
std::u32string code_points(std::string_view text);
std::string from_code_points(std::u32string_view text);
/// Replaces, searches: bounded in work.
std::string replaced(std::string_view text, std::string_view from, std::string_view to, std::int64_t most,
                     Meter& meter);
std::size_t find_in(std::string_view text, std::string_view part, std::size_t begin, Meter& meter);
std::string number_text(double number);

}  // namespace daguerre::text::jinja
