#include "bindings/python/parameters.hpp"

#include <algorithm>
#include <utility>

#include "bindings/python/sizes.hpp"

namespace numpool::bindings {
namespace {

/// A value as an error may show it.
std::string shown(const py::handle& value) {
    constexpr std::size_t most = 60;
    const std::string text = to_text(py::repr(value));
    return text.size() > most ? "..." : text;
}

std::string_view trimmed(std::string_view text) {
    const auto first = std::min(text.find_first_not_of(' '), text.size());
    text.remove_prefix(first);
    return text.substr(0, text.find_last_not_of(' ') + 1);
}

}  // namespace

py::object Given::operator()(std::string_view name, const py::object& otherwise) const {
    for (const Value& one : values_) {
        if (one.name == name) return one.value;
    }
    return otherwise;
}

py::object Given::operator()(std::string_view name, const char* otherwise) const {
    return (*this)(name, py::str{otherwise});
}

bool Given::flag(const char* name, bool otherwise) const {
    const py::object value = (*this)(name, py::bool_{otherwise});
    // Python's bool or NumPy's, and nothing that only could be converted to one.
    py::detail::make_caster<bool> truth;
    if (truth.load(value, false)) return py::detail::cast_op<bool>(truth);
    throw py::type_error{std::string{name} + " must be True or False, not " + shown(value)};
}

Parameters::Parameters(std::string_view doc) {
    const auto open = doc.find('(');
    function_ = doc.substr(0, open);
    text_ = doc.substr(open + 1, doc.find(')') - open - 1);
    bool by_name_only = false;
    for (std::string_view rest = text_; !rest.empty();) {
        const auto comma = std::min(rest.find(','), rest.size());
        const std::string_view one = trimmed(rest.substr(0, comma));
        rest.remove_prefix(std::min(comma + 1, rest.size()));
        if (one == "*") {
            by_name_only = true;
            continue;
        }
        const auto equals = one.find('=');
        parameters_.push_back(
            {std::string{one.substr(0, equals)}, equals == std::string_view::npos, by_name_only});
    }
}

std::string Parameters::init_doc() const {
    return "__init__(self, " + text_ + ")\n--\n\nSee the class.";
}

const Parameters::Parameter* Parameters::find(std::string_view name) const {
    const auto found = std::find_if(parameters_.begin(), parameters_.end(),
                                    [&](const Parameter& one) { return one.name == name; });
    return found == parameters_.end() ? nullptr : &*found;
}

void Parameters::refuse_place(const py::args& by_place, std::size_t places) const {
    const std::string value = shown(by_place[places]);
    std::string taken;
    for (std::size_t i = 0; i < places; ++i) taken += (i == 0 ? "" : ", ") + parameters_[i].name;
    std::string text =
        function_ + "() takes " +
        (places == 0   ? "no argument without its name"
         : places == 1 ? "one argument without its name (" + taken + ")"
                       : std::to_string(places) + " arguments without a name (" + taken + ")") +
        ", and got " + std::to_string(by_place.size());
    if (places < parameters_.size()) {
        text += ": name what " + value + " is, as in " + function_ + "(" +
                (places == 0 ? "" : "..., ") + parameters_[places].name + "=" + value + ")";
    }
    throw py::type_error{text};
}

void Parameters::refuse_name(const std::string& name) const {
    py::list known;
    std::string all;
    for (const Parameter& one : parameters_) {
        known.append(one.name);
        all += (all.empty() ? "" : ", ") + one.name;
    }
    const py::object close =
        py::module_::import("difflib").attr("get_close_matches")(name, known, 1);
    std::string text = function_ + "() takes no '" + name + "'";
    if (py::len(close) != 0)
        text += ": did you mean '" + close[py::int_{0}].cast<std::string>() + "'?";
    throw py::type_error{text + (py::len(close) != 0 ? " It takes " : ", but ") + all};
}

Given Parameters::bind(const py::args& by_place, const py::kwargs& by_name) const {
    const auto places = static_cast<std::size_t>(
        std::count_if(parameters_.begin(), parameters_.end(),
                      [](const Parameter& one) { return !one.by_name_only; }));
    if (by_place.size() > places) refuse_place(by_place, places);
    Given given;
    for (std::size_t i = 0; i < by_place.size(); ++i)
        given.values_.push_back({parameters_[i].name, by_place[i]});
    for (const auto& [key, value] : by_name) {
        const std::string name = to_text(key);
        if (find(name) == nullptr) refuse_name(name);
        if (std::any_of(given.values_.begin(), given.values_.end(),
                        [&](const Given::Value& one) { return one.name == name; })) {
            throw py::type_error{function_ + "() got '" + name +
                                 "' twice: by its place, and by its name"};
        }
        given.values_.push_back({name, py::reinterpret_borrow<py::object>(value)});
    }
    std::string missing;
    std::string needed;
    for (const Parameter& one : parameters_) {
        if (!one.required) continue;
        needed += (needed.empty() ? "" : ", ") + one.name;
        if (std::none_of(given.values_.begin(), given.values_.end(),
                         [&](const Given::Value& value) { return value.name == one.name; }))
            missing += (missing.empty() ? "'" : " and '") + one.name + "'";
    }
    if (missing.empty()) return given;
    throw py::type_error{function_ + "() is missing " + missing + ": call " + function_ + "(" +
                         needed + ", ...)"};
}

}  // namespace numpool::bindings
