#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bindings/python/classes.hpp"
#include "bindings/python/topics.hpp"

namespace numpool::bindings {

/// The arguments of one call, by the names of the parameters.
class Given {
  public:
    /// The argument for this parameter; None, or `otherwise`, where the call has none.
    py::object operator()(std::string_view name, const py::object& otherwise = py::none{}) const;
    py::object operator()(std::string_view name, const char* otherwise) const;
    /// Such an argument as a bool. Throws a type_error where it is none.
    bool flag(const char* name, bool otherwise) const;

  private:
    friend class Parameters;
    struct Value {
        std::string name;
        py::object value;
    };
    std::vector<Value> values_;
};

/// A constructor's parameters, read from the signature in its docstring: so they are listed once.
class Parameters {
  public:
    /// "Name(a, b=1, *, c=None)", with or without more text.
    explicit Parameters(std::string_view doc);

    /// Throws a type_error that says which argument is missing, unknown or too many.
    Given bind(const py::args& by_place, const py::kwargs& by_name) const;

    /// The docstring of `__init__`, which shows the same parameters.
    std::string init_doc() const;

  private:
    struct Parameter {
        std::string name;
        bool required;
        bool by_name_only;
    };

    const Parameter* find(std::string_view name) const;
    [[noreturn]] void refuse_place(const py::args& by_place, std::size_t places) const;
    [[noreturn]] void refuse_name(const std::string& name) const;

    std::string function_;
    std::string text_;
    std::vector<Parameter> parameters_;
};

/// Defines the constructor of a pybind11 class whose docstring begins with its signature. `create`
/// makes a holder or an object from the arguments.
template <class Class, class Create>
void define_init(Class& type, const char* doc, Create create) {
    const auto* const parameters = new Parameters{doc};  // As long-lived as the class.
    const auto init = [parameters, create](py::detail::value_and_holder& self,
                                           const py::args& by_place, const py::kwargs& by_name) {
        finish_init<Class>(self, create(parameters->bind(by_place, by_name)));
    };
    type.def("__init__", init, py::detail::is_new_style_constructor(),
             parameters->init_doc().c_str());
}

}  // namespace numpool::bindings
