#include <algorithm>
#include <iomanip>
#include <locale>
#include <sstream>

#include "text/jinja/evaluator.hpp"

/// The functions that templates find, and namespaces.
namespace daguerre::text::jinja {
namespace {

class Namespace final : public Object {
 public:
  explicit Namespace(Dict attributes) : attributes_(std::move(attributes)) {}
  const char* kind() const noexcept override { return "namespace"; }
  std::optional<Value> attribute(std::string_view name, Meter& meter) const override {
    const auto* found = find_key(attributes_, Value(std::string(name)), meter);
    return found ? std::optional(*found) : std::nullopt;
  }
  void set(const std::string& name, Value value, Meter& meter) {
    if (value.object() != nullptr) throw Fault(std::string("a namespace cannot hold a ") + value.kind());
    meter.work(name.size() + attributes_.size() + 2 * sizeof(Value));
    for (auto& [key, held] : attributes_)
      if (*key.string() == name) {
        held = std::move(value);
        return;
      }
    attributes_.emplace_back(name, std::move(value));
  }

 private:
  Dict attributes_;
};

using GlobalBody = Value (*)(Arguments, Meter&, const std::tm&);

class GlobalFunction final : public Object {
 public:
  GlobalFunction(GlobalBody body, const std::tm& now) : body_(body), now_(now) {}
  const char* kind() const noexcept override { return "function"; }
  bool callable() const noexcept override { return true; }
  Value call(Arguments arguments, Meter& meter) const override {
    return body_(std::move(arguments), meter, now_);
  }

 private:
  GlobalBody body_;
  std::tm now_;
};

Value range_of(Arguments arguments, Meter& meter, const std::tm&) {
  std::vector<std::int64_t> numbers;
  for (const auto& value : arguments.positional) {
    if (!value.as_integer()) throw Fault("range takes whole numbers");
    numbers.push_back(*value.as_integer());
  }
  if (numbers.empty() || numbers.size() > 3 || !arguments.named.empty())
    throw Fault("range takes one to three numbers");
  const auto begin = numbers.size() > 1 ? numbers[0] : 0, end = numbers[numbers.size() > 1 ? 1 : 0];
  const auto step = numbers.size() > 2 ? numbers[2] : 1;
  if (step == 0) throw Fault("the step of range is 0");
  List result;
  for (auto i = begin; step > 0 ? i < end : i > end;) {
    meter.work(sizeof(Value));
    result.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return result;
}

/// The named arguments, behind those of a dictionary that may come first.
Dict entries_of(Arguments& arguments, Meter& meter) {
  Dict result;
  if (const auto first = arguments.take(0, "")) {
    if (!first->dict()) throw Fault("a dictionary was expected");
    result = *first->dict();
  }
  for (auto& [name, value] : arguments.named) {
    meter.work(name.size() + 2 * sizeof(Value));
    result.emplace_back(name, std::move(value));
  }
  arguments.named.clear();
  arguments.finish("namespace");
  return result;
}

Value new_namespace(Arguments arguments, Meter& meter, const std::tm&) {
  auto space = std::make_shared<Namespace>(Dict());
  for (auto& [key, value] : entries_of(arguments, meter)) {
    if (!key.string()) throw Fault("a namespace has names");
    space->set(*key.string(), std::move(value), meter);
  }
  return Value(std::static_pointer_cast<Object>(std::move(space)));
}

Value new_dict(Arguments arguments, Meter& meter, const std::tm&) {
  return entries_of(arguments, meter);
}

Value refuse(Arguments arguments, Meter& meter, const std::tm&) {
  throw Fault(to_text(arguments.require(0, "message"), meter), true);
}

/// Python's strftime of the C locale, without widths.
Value time_text(Arguments arguments, Meter& meter, const std::tm& now) {
  const auto format = to_text(arguments.require(0, "format"), meter);
  arguments.finish("strftime_now");
  constexpr std::string_view known = "aAbBcCdDeFGgHIjklmMnpPrRsStTuUVwWxXyYzZ%h";
  std::string result;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      result += format[i];
      continue;
    }
    const bool bare = format[i + 1] == '-' && i + 2 < format.size();  // without zeros in front
    const char conversion = format[i + (bare ? 2 : 1)];
    if (known.find(conversion) == known.npos)
      throw Fault("strftime_now does not know '%" + std::string(1, conversion) + "'");
    i += bare ? 2 : 1;
    std::ostringstream piece;
    piece.imbue(std::locale::classic());
    piece << std::put_time(&now, (std::string("%") + conversion).c_str());
    auto text = piece.str();
    if (bare) text.erase(0, std::min(text.find_first_not_of("0 "), text.size() - 1));
    meter.work(text.size());
    result += text;
  }
  return result;
}

}  // namespace

std::optional<Value> global_function(std::string_view name, const std::tm& now) {
  const GlobalBody body = name == "range"             ? range_of
                          : name == "namespace"       ? new_namespace
                          : name == "dict"            ? new_dict
                          : name == "raise_exception" ? refuse
                          : name == "strftime_now"    ? time_text
                                                      : nullptr;
  if (body == nullptr) return std::nullopt;
  return Value(std::static_pointer_cast<Object>(std::make_shared<GlobalFunction>(body, now)));
}

bool set_attribute(const Value& space, const std::string& name, Value value, Meter& meter) {
  auto* held = dynamic_cast<Namespace*>(space.object());
  if (held == nullptr) return false;
  held->set(name, std::move(value), meter);
  return true;
}

}  // namespace daguerre::text::jinja
