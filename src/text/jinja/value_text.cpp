#include <algorithm>
#include <cmath>
#include <cstdio>

#include "text/jinja/value.hpp"

/// Values as text: Python's str and repr, and json.dumps.
namespace daguerre::text::jinja {
namespace {

void add_escaped(std::string& out, char32_t code) {
  char buffer[16];
  std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(code));
  out += buffer;
}

void add_json_string(std::string& out, const std::string& text, bool ascii, Meter& meter) {
  meter.work(text.size() + 2);
  out += '"';
  for (const char32_t code : code_points(text)) {
    const char* const names = "\bb\ff\nn\rr\tt\"\"\\\\";
    const char* name = names;
    while (*name != '\0' && static_cast<char32_t>(*name) != code) name += 2;
    if (*name != '\0') {
      out += '\\';
      out += name[1];
    } else if (code < 0x20) {
      add_escaped(out, code);
    } else if (ascii && code > 0x7E) {
      if (code > 0xFFFF) {
        add_escaped(out, 0xD800 + ((code - 0x10000) >> 10));
        add_escaped(out, 0xDC00 + ((code - 0x10000) & 0x3FF));
      } else {
        add_escaped(out, code);
      }
    } else {
      out += from_code_points({&code, 1});
    }
  }
  out += '"';
}

std::string json_number(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  return number_text(number);
}

void add_json(std::string& out, const Value& value, const JsonStyle& style, int level, Meter& meter) {
  meter.step();
  meter.work(8);
  const auto line = [&](int depth) {
    if (!style.indent) return;
    out += '\n';
    for (int i = 0; i < depth; ++i) out += *style.indent;
    meter.work(static_cast<std::size_t>(depth) * style.indent->size());
  };
  const auto separate = [&](bool first) {
    if (!first) out += style.item_separator;
    meter.work(style.item_separator.size() + style.key_separator.size());
    line(level + 1);
  };
  if (value.is_none()) {
    out += "null";
  } else if (const auto* truth = value.boolean()) {
    out += *truth ? "true" : "false";
  } else if (const auto* number = value.integer()) {
    out += std::to_string(*number);
  } else if (const auto* fraction = value.fraction()) {
    out += json_number(*fraction);
  } else if (const auto* text = value.string()) {
    add_json_string(out, *text, style.ascii, meter);
  } else if (const auto* list = value.list()) {
    out += '[';
    for (std::size_t i = 0; i < list->size(); ++i) {
      separate(i == 0);
      add_json(out, (*list)[i], style, level + 1, meter);
    }
    if (!list->empty()) line(level);
    out += ']';
  } else if (const auto* dict = value.dict()) {
    std::vector<std::pair<std::string, const Value*>> items;
    for (const auto& [key, item] : *dict) {
      std::string name = key.string() ? *key.string() : to_json(key, {}, meter);
      meter.work(sizeof(Value) + name.size());
      items.emplace_back(std::move(name), &item);
    }
    if (style.sort_keys)
      std::stable_sort(items.begin(), items.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
    out += '{';
    for (std::size_t i = 0; i < items.size(); ++i) {
      separate(i == 0);
      add_json_string(out, items[i].first, style.ascii, meter);
      out += style.key_separator;
      add_json(out, *items[i].second, style, level + 1, meter);
    }
    if (!items.empty()) line(level);
    out += '}';
  } else {
    throw Fault(std::string("a ") + value.kind() + " cannot be written as JSON");
  }
}

void add_repr(std::string& out, const Value& value, Meter& meter) {
  meter.step();
  meter.work(8);
  if (const auto* text = value.string()) {
    meter.work(text->size() * 2);
    const bool doubled = text->find('\'') != text->npos && text->find('"') == text->npos;
    const char quote = doubled ? '"' : '\'';
    out += quote;
    for (const char c : *text) {
      const auto code = static_cast<unsigned char>(c);
      if (c == quote || c == '\\') {
        out += '\\';
        out += c;
      } else if (c == '\n') {
        out += "\\n";
      } else if (c == '\r') {
        out += "\\r";
      } else if (c == '\t') {
        out += "\\t";
      } else if (code < 0x20 || code == 0x7F) {
        char buffer[8];
        std::snprintf(buffer, sizeof buffer, "\\x%02x", static_cast<unsigned>(code));
        out += buffer;
      } else {
        out += c;
      }
    }
    out += quote;
  } else if (const auto* list = value.list()) {
    out += '[';
    for (std::size_t i = 0; i < list->size(); ++i) {
      if (i > 0) out += ", ";
      add_repr(out, (*list)[i], meter);
    }
    out += ']';
  } else if (const auto* dict = value.dict()) {
    out += '{';
    for (std::size_t i = 0; i < dict->size(); ++i) {
      if (i > 0) out += ", ";
      add_repr(out, (*dict)[i].first, meter);
      out += ": ";
      add_repr(out, (*dict)[i].second, meter);
    }
    out += '}';
  } else if (value.is_none()) {
    out += "None";
  } else if (const auto* truth = value.boolean()) {
    out += *truth ? "True" : "False";
  } else if (const auto* number = value.integer()) {
    out += std::to_string(*number);
  } else if (const auto* fraction = value.fraction()) {
    out += number_text(*fraction);
  } else if (value.is_undefined()) {
    out += "Undefined";
  } else {
    out += std::string("<") + value.kind() + ">";
  }
}

}  // namespace

std::string to_text(const Value& value, Meter& meter) {
  if (value.is_undefined()) return "";
  if (const auto* text = value.string()) {
    meter.work(text->size());
    return *text;
  }
  return to_repr(value, meter);
}

std::string to_repr(const Value& value, Meter& meter) {
  std::string out;
  add_repr(out, value, meter);
  return out;
}

std::string to_json(const Value& value, const JsonStyle& style, Meter& meter) {
  std::string out;
  add_json(out, value, style, 0, meter);
  return out;
}

}  // namespace daguerre::text::jinja
