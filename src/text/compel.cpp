#include "daguerre/text/compel.hpp"

#include "text/compel_reader.hpp"

namespace daguerre::text {
namespace {

using namespace compel;

/// From the tree to runs of words.
class CompelFlattener {
 public:
  CompelFlattener(const CompelTree& tree, CompelPrompt& result) : tree_(tree), result_(result) {}

  std::vector<CompelFragment> flat(const std::vector<std::size_t>& nodes) {
    return fused(pieces(nodes, 1.0));
  }

 private:
  std::vector<CompelFragment> pieces(const std::vector<std::size_t>& nodes, double scale) {
    std::vector<CompelFragment> all;
    for (const auto number : nodes) {
      const auto& node = tree_[number];
      switch (node.kind) {
        case CompelNode::Kind::fragment:
          all.push_back({as_fragment(node.text), node.weight * scale});
          break;
        case CompelNode::Kind::lora:
          result_.loras.emplace_back(node.text, node.weight);
          break;
        case CompelNode::Kind::attention: {
          auto inner = pieces(node.children, scale * node.weight);
          all.insert(all.end(), inner.begin(), inner.end());
          break;
        }
        case CompelNode::Kind::swap: {
          CompelSwap swap{.original = fused(pieces(node.children, scale)),
                          .edited = fused(pieces(node.edited, scale)),
                          .options = {}};
          for (auto* side : {&swap.original, &swap.edited})
            if (side->empty()) side->push_back({});
          swap.options = {{"s_start", 0.0}, {"s_end", 0.0}, {"t_start", 0.2}, {"t_end", 1.0}};
          auto given = node.options;
          if (const auto freedom = given.find("shape_freedom"); freedom != given.end()) {
            swap.options["s_end"] = 1.0 - std::pow(freedom->second, 1.0 / 3.0);
            given.erase(freedom);
          }
          for (const auto& [name, value] : given) swap.options[name] = value;
          all.push_back({.text = {}, .swap = std::make_shared<const CompelSwap>(std::move(swap))});
          break;
        }
      }
    }
    return all;
  }

  /// Neighbours of equal weight become one.
  static std::vector<CompelFragment> fused(std::vector<CompelFragment> pieces) {
    std::vector<CompelFragment> all;
    for (auto& piece : pieces) {
      const bool joins = !piece.swap && !all.empty() && !all.back().swap && all.back().weight == piece.weight;
      if (joins) {
        auto& text = all.back().text;
        text += " " + piece.text;
        if (text.find('\\') != text.npos) text = as_fragment(std::move(text));
      } else {
        all.push_back(std::move(piece));
      }
    }
    return all;
  }

  const CompelTree& tree_;
  CompelPrompt& result_;
};

/// A space behind every comma.
std::string with_spaced_commas(std::string_view prompt) {
  const auto text = decode_utf8(prompt);
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    append_utf8(result, text[i].code);
    if (text[i].code != U',' || i + 1 == text.size() || is_blank(text[i + 1].code)) continue;
    result += " ";
    append_utf8(result, text[++i].code);
  }
  return result;
}

double operator_weight(const CompelOption& option) {
  const auto value = python_float(option.text);
  if (!value || option.value)
    throw ArgumentError(prompt_name, "the weight " + in_quotes(option.text) + " is no number");
  return *value;
}

void check_weights(const char* what, std::size_t weights, std::size_t prompts) {
  if (weights != prompts)
    throw ArgumentError(prompt_name, std::string(what) + " has " + std::to_string(weights) + " weights for " +
                                         std::to_string(prompts) + " prompts");
}

CompelPart blend_of(const CompelReader::Operation& operation, CompelFlattener& flattener) {
  auto options = operation.options;
  CompelPart part{.blends = true, .prompts = {}, .weights = {}};
  if (!options.empty() && options.back().text == "no_normalize") {
    part.normalize = false;
    options.pop_back();
  }
  for (const auto& option : options) part.weights.push_back(operator_weight(option));
  if (part.weights.empty()) part.weights.assign(operation.prompts.size(), 1.0);
  check_weights(".blend()", part.weights.size(), operation.prompts.size());
  for (const auto& nodes : operation.prompts) {
    auto fragments = flattener.flat(nodes);
    if (fragments.empty()) throw ArgumentError(prompt_name, "a prompt of .blend() is empty");
    for (const auto& fragment : fragments)
      if (fragment.swap) throw ArgumentError(prompt_name, ".swap() cannot be part of .blend()");
    part.prompts.push_back(std::move(fragments));
  }
  return part;
}

}  // namespace

CompelPrompt parse_compel(std::string_view prompt) {
  CompelPrompt result;
  CompelTree tree;
  CompelFlattener flattener(tree, result);
  auto text = with_spaced_commas(prompt);
  const auto characters = decode_utf8(text);
  const auto add_plain = [&](std::vector<CompelFragment> fragments, double weight) {
    if (!fragments.empty())
      result.parts.push_back({.weight = weight, .prompts = {std::move(fragments)}, .weights = {}});
  };
  if (without_blank_end(characters).empty()) {
    add_plain({{""}}, 1.0);
    return result;
  }
  CompelReader reader(std::move(text), tree);
  if (const auto joined = reader.operation(0, {".and", ".add"})) {
    std::vector<double> weights;
    for (const auto& option : joined->options) weights.push_back(operator_weight(option));
    if (weights.empty()) weights.assign(joined->prompts.size(), 1.0);
    check_weights(".and()", weights.size(), joined->prompts.size());
    for (std::size_t i = 0; i < weights.size(); ++i)
      add_plain(flattener.flat(joined->prompts[i]), weights[i]);
    return result;
  }
  const auto loras = [&](std::size_t at) {
    Reading found{at, {}};
    while (auto one = reader.lora(found.end)) {
      found.end = one->end;
      found.nodes.push_back(one->nodes.front());
    }
    (void)flattener.flat(found.nodes);
    return found.end;
  };
  auto end = loras(0);
  if (const auto blend = reader.operation(end, {".blend"})) {
    end = blend->end;
    result.parts.push_back(blend_of(*blend, flattener));
  } else {
    const auto whole = reader.prompt(end);
    end = whole.end;
    add_plain(flattener.flat(whole.nodes), 1.0);
  }
  end = loras(end);
  if (!reader.at_end(end))
    throw ArgumentError(prompt_name, "what stands behind byte " + std::to_string(end) +
                                         " is not compel's syntax: nothing may follow .blend(), and there "
                                         "may be no form feeds");
  return result;
}

}  // namespace daguerre::text
