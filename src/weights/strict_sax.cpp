#include "weights/strict_sax.hpp"

#include <algorithm>

#include "daguerre/error.hpp"
#include "weights/text.hpp"

namespace daguerre::weights {
namespace {

// Walks over the text and tells how far the lexer has come, which nlohmann's callbacks do not say.
class CountingIterator {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator() = default;
  CountingIterator(const char* position, std::size_t* taken) : position_(position), taken_(taken) {}
  reference operator*() const { return *position_; }
  CountingIterator& operator++() {
    ++position_;
    ++*taken_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return position_ == other.position_; }

 private:
  const char* position_ = nullptr;
  std::size_t* taken_ = nullptr;
};

}  // namespace

void StrictSax::parse(std::string_view text) {
  if (const auto bad = find_invalid_utf8(text); bad != std::string_view::npos)
    fail_at(bad, "the text is not valid UTF-8");
  // nlohmann's lexer takes a NUL byte for the end of the input and would ignore what follows.
  if (const auto nul = text.find('\0'); nul != std::string_view::npos)
    fail_at(nul, "not valid JSON: a NUL byte");
  offset_ = 0;
  depth_ = 0;
  keys_.clear();
  nlohmann::json::sax_parse(CountingIterator(text.data(), &offset_),
                            CountingIterator(text.data() + text.size(), &offset_), this);
}

void StrictSax::enter() {
  if (++depth_ > max_json_depth) fail("nested deeper than " + std::to_string(max_json_depth) + " levels");
}

bool StrictSax::start_object(std::size_t) {
  enter();
  keys_.emplace_back();
  on_start_object();
  return true;
}

bool StrictSax::key(std::string& name) {
  if (!keys_.back().insert(name).second) fail("duplicate key " + in_quotes(name));
  on_key(name);
  return true;
}

bool StrictSax::end_object() {
  --depth_;
  keys_.pop_back();
  on_end();
  return true;
}

bool StrictSax::start_array(std::size_t) {
  enter();
  on_start_array();
  return true;
}

bool StrictSax::end_array() {
  --depth_;
  on_end();
  return true;
}

bool StrictSax::parse_error(std::size_t position, const std::string&,
                            const nlohmann::detail::exception& error) {
  // what() is "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error while …; last
  // read: …"; the part between is the readable one, the token may be of any length.
  std::string_view text = error.what();
  if (const auto colon = text.find(": "); colon != std::string_view::npos) text.remove_prefix(colon + 2);
  text = text.substr(0, std::min(text.find(" - "), text.find("; last read")));
  // The position counts from one.
  fail_at(position - (position > 0 ? 1 : 0), "not valid JSON: " + std::string(text.substr(0, 160)));
}

void StrictSax::fail_at(std::size_t offset, std::string_view problem) const {
  throw FormatError(who_,
                    std::string(source_) + ": byte " + std::to_string(offset) + ": " + std::string(problem));
}

}  // namespace daguerre::weights
